//! The first process inside: builds the walls around itself, starts the program, buries the dead, and ends with it.
//!
//! It is a fork of the shim that never executes anything: process 1 of its own process namespace. When it goes, for
//! whatever reason, the kernel kills everything inside.

mod root;

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus},
    thread::{Gid, Uid, UnshareFlags},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{At, SetupError, Step},
    packet,
    spec::{AGENT_UID, ProgramSpec},
    sys::{self, Forked, SignalSet},
    walls::{
        self,
        landlock::{self, FileRules},
        seccomp::{self, UnixSockets},
    },
};

/// Standard input, output and error come first; the socket to the shim is next, and there is nothing else.
const CONTROL_FD: i32 = 3;
const FIRST_SPARE_FD: u32 = 4;

/// What is to be built.
#[derive(Debug, Clone)]
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a ProgramSpec,
    pub(crate) kind: Kind,
    /// Whether the identity is still to be changed: the shim was started by root.
    pub(crate) as_root: bool,
}

/// What the sandbox is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything but the program.
    Probe,
    /// The host's network, no secrets.
    Task,
    /// A network of its own, and secrets.
    Instance,
}

/// What the first process tells the shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The folder for secrets comes with it. Answered.
    SecretsFolder,
    /// Waits in a user namespace without a map. Answered.
    MapIdentity,
    /// All walls stand. Answered.
    Ready(Built),
    /// The program was executed.
    Started,
    /// The program ended.
    Ended {
        code: Option<i32>,
        signal: Option<i32>,
    },
    Failed(SetupError),
}

/// The only answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Proceed;

/// What was achieved beyond what is a condition of starting at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Built {
    /// What stands behind the mount namespace, or why nothing does.
    pub(crate) landlock: Result<String, String>,
}

/// Runs as the first process; never returns. `output` becomes standard output and error; none keeps the inherited ones.
pub(crate) fn run(plan: &Plan<'_>, control: OwnedFd, output: Option<(OwnedFd, OwnedFd)>) -> ! {
    let signals = SignalSet::block_all();
    let result = settle_descriptors(control, output).and_then(|control| {
        let started = build(plan, &control).and_then(|()| start(plan, &control));
        if let Err(error) = &started {
            let _ = packet::send(&control, &FromInit::Failed(error.clone()), None);
        }
        Ok((control, started?))
    });
    match result {
        Ok((control, Some(program))) => supervise(program, &signals, &control),
        Ok((_, None)) => sys::exit(0),
        Err(_) => sys::exit(1),
    }
}

/// Drops everything inherited from the shim but the four descriptors that stay.
fn settle_descriptors(control: OwnedFd, output: Option<(OwnedFd, OwnedFd)>) -> Result<OwnedFd, SetupError> {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, Mode::empty()).at(Step::Fork)?;
    sys::copy_fd_to(&null, 0).at(Step::Fork)?;
    if let Some((stdout, stderr)) = &output {
        sys::copy_fd_to(stdout, 1).at(Step::Fork)?;
        sys::copy_fd_to(stderr, 2).at(Step::Fork)?;
    }
    sys::copy_fd_to(&control, CONTROL_FD).at(Step::Fork)?;
    // Their numbers are closed below, or are the ones just put in place.
    std::mem::forget((null, output, control));
    sys::close_from(FIRST_SPARE_FD).at(Step::Fork)?;
    Ok(sys::adopt_fd(CONTROL_FD))
}

/// The steps, in order.
fn build(plan: &Plan<'_>, control: &OwnedFd) -> Result<(), SetupError> {
    // The shim puts this process into its cgroups first.
    wait(control, Step::Fork)?;
    make_namespaces()?;
    set_host_name(&plan.program.hostname)?;
    let identity_seen = if plan.as_root { plan.program.host_uid } else { AGENT_UID };
    let secrets = root::build(plan.program, plan.kind, identity_seen)?;
    if let Some(folder) = secrets {
        ask(control, &FromInit::SecretsFolder, Some(folder), Step::PutSecrets)?;
    }
    if plan.as_root {
        take_identity(control)?;
    }
    walls::set_limits(plan.program.limits.pids)?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    walls::drop_capabilities()?;
    // The program has the same identity: without this it could trace its own keeper.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::DropCapabilities)?;
    let landlock = landlock::restrict(&file_rules(plan.program));
    let unix = if plan.kind == Kind::Task { UnixSockets::Refused } else { UnixSockets::Allowed };
    seccomp::apply(unix).map_err(|err| SetupError::new(Step::FilterSyscalls, err))?;
    // Last of all, because a change of identity forgets it (prctl(2), PR_SET_PDEATHSIG); the answer proves that the
    // shim still lived afterwards.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).at(Step::Fork)?;
    ask(control, &FromInit::Ready(Built { landlock }), None, Step::Fork)
}

fn make_namespaces() -> Result<(), SetupError> {
    let needed = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    match sys::unshare(needed | UnshareFlags::NEWCGROUP) {
        Ok(()) => Ok(()),
        // Hides the own place in the tree of cgroups; nothing depends on it.
        Err(err) if err.raw_os_error() == Some(libc::EINVAL) => sys::unshare(needed).at(Step::MakeNamespaces),
        Err(err) => Err(err).at(Step::MakeNamespaces),
    }
}

fn set_host_name(name: &str) -> Result<(), SetupError> {
    rustix::system::sethostname(name.as_bytes()).at(Step::SetHostName)
}

/// Root only: from here on, this process is nobody outside, and the namespaces made so far belong to somebody else.
fn take_identity(control: &OwnedFd) -> Result<(), SetupError> {
    rustix::thread::set_thread_groups(&[]).at(Step::TakeIdentity)?;
    sys::unshare(UnshareFlags::NEWUSER).at(Step::MakeUserNamespace)?;
    ask(control, &FromInit::MapIdentity, None, Step::MapIdentity)?;
    let (uid, gid) = (Uid::from_raw(AGENT_UID), Gid::from_raw(AGENT_UID));
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::TakeIdentity)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::TakeIdentity)
}

fn file_rules(program: &ProgramSpec) -> FileRules {
    let mut write: Vec<_> = program.mounts.iter().filter(|m| m.writable).map(|m| m.sandbox.clone()).collect();
    write.extend(["/tmp".into(), "/dev".into()]);
    // Programs set their own entries (`oom_score_adj`, `comm`). What steers the machine is mounted read-only above them.
    FileRules { read: vec!["/".into()], write, change: vec!["/proc".into()] }
}

/// Executes the program; none for a probe.
fn start(plan: &Plan<'_>, control: &OwnedFd) -> Result<Option<Pid>, SetupError> {
    if plan.kind == Kind::Probe {
        packet::send(control, &FromInit::Started, None).at(Step::Execute)?;
        return Ok(None);
    }
    let (report, reporter) = packet::pair().at(Step::Execute)?;
    let pid = match sys::fork().at(Step::Execute)? {
        Forked::Child => {
            drop(report);
            let error = execute(plan.program);
            let _ = packet::send(&reporter, &error, None);
            sys::exit(127)
        }
        Forked::Parent(pid) => pid,
    };
    drop(reporter);
    // The other end vanishes with the execution, or brings the reason why there was none.
    match packet::receive::<SetupError>(&report).at(Step::Execute)? {
        Some(failed) => Err(failed.message),
        None => {
            packet::send(control, &FromInit::Started, None).at(Step::Execute)?;
            Ok(Some(pid))
        }
    }
}

fn execute(program: &ProgramSpec) -> SetupError {
    let Some((path, arguments)) = program.argv.split_first() else {
        return SetupError::new(Step::Execute, "there is no program");
    };
    let prepare = || -> io::Result<()> {
        rustix::process::setsid()?;
        sys::close_on_exec_from(CONTROL_FD as u32)?;
        sys::reset_signals();
        Ok(())
    };
    if let Err(error) = prepare().at(Step::Execute) {
        return error;
    }
    let failed = Command::new(path).args(arguments).env_clear().envs(&program.env).current_dir(&program.cwd).exec();
    Err::<(), _>(failed).at_path(Step::Execute, path).expect_err("it was an error")
}

/// Passes signals on, buries the dead, and ends when the program does.
fn supervise(program: Pid, signals: &SignalSet, control: &OwnedFd) -> ! {
    // This process keeps none of the program's pipes open: their end must be seen when the last program ends.
    for fd in [1, 2] {
        let _ = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|null| sys::copy_fd_to(null.as_fd(), fd));
    }
    loop {
        match signals.wait() {
            libc::SIGCHLD => {
                if let Some(status) = bury(program) {
                    let ended = FromInit::Ended { code: status.exit_status(), signal: status.terminating_signal() };
                    let _ = packet::send(control, &ended, None);
                    sys::exit(0)
                }
            }
            libc::SIGTERM => {
                let _ = rustix::process::kill_process(program, Signal::TERM);
            }
            _ => {}
        }
    }
}

/// Waits for all that have ended; the status is that of the program, if it was among them.
fn bury(program: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            found = Some(status);
        }
    }
    found
}

/// Tells the shim and waits for its answer.
fn ask(control: &OwnedFd, message: &FromInit, fd: Option<OwnedFd>, step: Step) -> Result<(), SetupError> {
    packet::send(control, message, fd.as_ref().map(AsFd::as_fd)).at(step)?;
    wait(control, step)
}

fn wait(control: &OwnedFd, step: Step) -> Result<(), SetupError> {
    match packet::receive::<Proceed>(control).at(step)? {
        Some(_) => Ok(()),
        None => Err(SetupError::new(step, "the shim is gone")),
    }
}
