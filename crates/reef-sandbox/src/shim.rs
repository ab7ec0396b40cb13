//! The shim: one process per sandbox. It makes the sandbox from outside, then stays as door keeper, log writer and
//! witness of how it ended. It outlives whoever started it, and whatever it watches over dies with it.
//!
//! It keeps no state that matters: kill it, and the sandbox is gone with nothing to repair but a stale run folder.

mod door;
mod identity;
mod instance;
mod keeper;
mod log;
mod secrets;
mod task;

use std::{
    fs,
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::ExitCode,
};

use reef_types::Enforcement;
use rustix::{fs::Mode, process::Pid, thread::UnshareFlags};

use crate::{
    cgroup::{Cgroup, Hierarchies},
    error::{At, SetupError, Step},
    frame,
    init::{self, Built, FromInit, Kind, Plan, Proceed},
    packet,
    process::ProcessRef,
    spec::{AGENT_UID, Limits, ProgramSpec, Report, RunRecord, ShimSpec},
    sys::{self, Forked},
    walls,
};

pub use identity::runs_as_host_root;

/// First argument of a program that is to call [`main`] and do nothing else.
pub const ARGUMENT: &str = "__shim";

/// Status of a shim that could not do what it was asked.
const FAILED: u8 = 1;

/// The whole life of a shim. Reads a frame with a [`ShimSpec`] from standard input, which must be a Unix stream socket (for
/// an instance a second one with its [`Secret`](crate::Secret)s), and writes [`Report`]s back on it. To be called before any thread is started.
pub fn main() -> ExitCode {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let _ = sys::close_from(3);
    let link = UnixStream::from(sys::adopt_fd(0));
    let spec = frame::read(&mut &link).at(Step::ReadSpec);
    let result = spec.and_then(|spec| match spec {
        ShimSpec::Probe => probe(&link),
        ShimSpec::Task(spec) => task::run(&spec, &link),
        ShimSpec::Instance(spec) => instance::run(&spec, &link),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&link, &Report::Failed(error));
            ExitCode::from(FAILED)
        }
    }
}

/// Tells the parent; it may be gone, which is no reason to stop.
fn report(mut link: &UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = link.write_all(&line);
    }
}

/// A sandbox as far as all kinds have it.
struct Sandbox {
    init: Pid,
    control: OwnedFd,
    cgroup: Cgroup,
    enforced: Vec<Enforcement>,
    as_root: bool,
}

impl Sandbox {
    /// Makes the cgroup and the first process. The network and, for an ordinary user, the user namespace are those of
    /// the calling process.
    fn fork(
        program: &ProgramSpec,
        kind: Kind,
        as_root: bool,
        output: Option<(OwnedFd, OwnedFd)>,
    ) -> Result<Self, SetupError> {
        let (cgroup, enforced) = Cgroup::create(&Hierarchies::of_this_process(), &program.cgroup, &program.limits);
        let started = Self::fork_init(program, kind, as_root, output);
        let (init, control) = started.inspect_err(|_| {
            let _ = cgroup.remove();
        })?;
        let mut sandbox = Self { init, control, cgroup, enforced, as_root };
        for failed in sandbox.cgroup.enter(sandbox.init.as_raw_nonzero().get().cast_unsigned()) {
            sandbox.enforced.retain(|e| e.limit != failed.limit);
            sandbox.enforced.push(failed);
        }
        Ok(sandbox)
    }

    fn fork_init(
        program: &ProgramSpec,
        kind: Kind,
        as_root: bool,
        output: Option<(OwnedFd, OwnedFd)>,
    ) -> Result<(Pid, OwnedFd), SetupError> {
        let (control, inner) = packet::pair().at(Step::Fork)?;
        // Only what is forked from now on is inside.
        sys::unshare(UnshareFlags::NEWPID).at(Step::MakeNamespaces)?;
        match sys::fork().at(Step::Fork)? {
            Forked::Child => {
                drop(control);
                init::run(&Plan { program, kind, as_root }, inner, output)
            }
            Forked::Parent(pid) => Ok((pid, control)),
        }
    }

    /// Leads the first process through its steps until the program runs. `secrets` gets the folder for secrets.
    fn lead(
        &mut self,
        program: &ProgramSpec,
        kind: Kind,
        mut secrets: impl FnMut(OwnedFd) -> Result<(), SetupError>,
    ) -> Result<(), SetupError> {
        self.proceed()?;
        loop {
            let packet = packet::receive::<FromInit>(&self.control).at(Step::Supervise)?;
            match packet.map(|packet| (packet.message, packet.fd)) {
                Some((FromInit::SecretsFolder, Some(folder))) => secrets(folder)?,
                Some((FromInit::MapIdentity, _)) => identity::map(self.init, program.host_uid)?,
                Some((FromInit::Ready(built), _)) => self.add_walls(program, kind, &built),
                Some((FromInit::Started, _)) => return Ok(()),
                Some((FromInit::Failed(error), _)) => return Err(error),
                Some(_) => return Err(SetupError::new(Step::Supervise, "the first process said something unexpected")),
                None => return Err(SetupError::new(Step::Supervise, "the first process died")),
            }
            self.proceed()?;
        }
    }

    fn proceed(&self) -> Result<(), SetupError> {
        packet::send(&self.control, &Proceed, None).at(Step::Supervise)
    }

    fn add_walls(&mut self, program: &ProgramSpec, kind: Kind, built: &Built) {
        if let Some(pids) = self.enforced.iter_mut().find(|e| e.limit == "pids" && !e.enforced)
            && walls::processes_are_counted_apart()
        {
            pids.enforced = true;
            pids.reason = "RLIMIT_NPROC in a user namespace of its own".to_owned();
        }
        let mut add = |limit: &str, enforced: bool, reason: String| {
            self.enforced.push(Enforcement { limit: limit.to_owned(), enforced, reason });
        };
        let second = match &built.landlock {
            Ok(text) => text.clone(),
            Err(reason) => format!("without Landlock: {reason}"),
        };
        add("filesystem", true, format!("mount namespace with a root of its own, {second}"));
        add("disk", false, "no quota for an instance's folders in this version".to_owned());
        if kind == Kind::Task {
            add("network", false, "a task uses the host's network".to_owned());
        } else {
            add("network", true, "network namespace with nothing but loopback".to_owned());
        }
        add("syscalls", true, "seccomp, no new privileges, no capabilities".to_owned());
        let identity = if self.as_root {
            format!("user namespace, host uid {}", program.host_uid)
        } else {
            "user namespace; on the host it is the user that runs Reef".to_owned()
        };
        add("identity", true, identity);
    }

    /// Ends everything inside and returns when it is gone.
    fn destroy(&self) {
        self.cgroup.kill();
        let _ = rustix::process::kill_process(self.init, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.init), rustix::process::WaitOptions::empty());
        let _ = self.cgroup.remove();
    }

    fn record(&self, generation: u64) -> Result<RunRecord, SetupError> {
        let of = |pid| ProcessRef::of(pid).at(Step::Supervise);
        Ok(RunRecord {
            shim: of(std::process::id())?,
            init: of(self.init.as_raw_nonzero().get().cast_unsigned())?,
            generation,
            enforced: self.enforced.clone(),
            cgroup: self.cgroup.clone(),
        })
    }
}

/// Puts every wall up around nothing, and tells which hold.
fn probe(link: &UnixStream) -> Result<(), SetupError> {
    let program = ProgramSpec {
        hostname: "probe".to_owned(),
        host_uid: crate::ids::PROBE_HOST_UID,
        argv: Vec::new(),
        env: Default::default(),
        cwd: "/".to_owned(),
        mounts: Vec::new(),
        limits: Limits { memory_bytes: 64 << 20, cpus_milli: 1000, pids: 16 },
        cgroup: format!("probe-{}", std::process::id()),
    };
    let as_root = identity::enter(identity::Network::Own)?;
    let mut sandbox = Sandbox::fork(&program, Kind::Probe, as_root, None)?;
    let led = sandbox.lead(&program, Kind::Probe, |_| Ok(()));
    // Before the first process is gone, for its own sake and that of the record.
    let record = led.and_then(|()| sandbox.record(0));
    sandbox.destroy();
    report(link, &Report::Started(record?));
    Ok(())
}

/// Replaces a file as a whole, so that no reader ever sees half of it.
fn write_file(dir: &Path, name: &str, content: &impl serde::Serialize) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = dir.join(format!("{name}.new"));
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    fs::rename(&temporary, dir.join(name))
}

/// A terminal's or a parent's end is nothing to this process any more. Nor does it end when a machine that shuts down asks
/// everybody to: the program is asked too, and how it ends is to be written down.
fn leave_parent() -> Result<(), SetupError> {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGTERM] {
        sys::ignore_signal(signal, true);
    }
    rustix::process::chdir("/").at(Step::LeaveParent)?;
    match rustix::process::setsid() {
        // Already the leader of its own.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(err) => Err(err).at(Step::LeaveParent),
    }
}

/// Descriptors 1 and 2 stop leading to the parent.
fn silence() -> Result<(), SetupError> {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, Mode::empty())
        .at(Step::LeaveParent)?;
    for fd in [1, 2] {
        sys::copy_fd_to(null.as_fd(), fd).at(Step::LeaveParent)?;
    }
    Ok(())
}

const _: () = assert!(AGENT_UID != 0, "the program must not be root, not even in its own namespace");
