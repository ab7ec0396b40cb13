//! The life of a shim that runs an installer's program: it ends with its parent, and so does everything inside.

use std::os::{fd::AsFd, unix::net::UnixStream};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::WaitOptions,
};

use super::{
    Sandbox,
    identity::{self, Network},
    leave_parent, report, silence,
};
use crate::{
    error::{At, SetupError, Step},
    init::{FromInit, Kind},
    packet,
    spec::{ExitRecord, Report, TaskSpec},
};

/// Returns when the task has ended or the parent has gone.
pub(super) fn run(spec: &TaskSpec, link: &UnixStream) -> Result<(), SetupError> {
    leave_parent()?;
    let as_root = identity::enter(Network::Host)?;
    // Standard output and error are the parent's pipes, and go to the program.
    let mut sandbox = Sandbox::fork(&spec.program, Kind::Task, as_root, None)?;
    let result = sandbox
        .lead(&spec.program, Kind::Task, |_| Ok(()))
        .and_then(|()| silence())
        .and_then(|()| sandbox.record(0))
        .map(|record| report(link, &Report::Started(record)))
        .and_then(|()| watch(&sandbox, link));
    let oom_kills = sandbox.cgroup.oom_kills();
    sandbox.destroy();
    if let Some((code, signal)) = result? {
        let out_of_memory = oom_kills > 0;
        report(link, &Report::Exited(ExitRecord { code, signal, out_of_memory, ..ExitRecord::default() }));
    }
    Ok(())
}

type Ended = (Option<i32>, Option<i32>);

/// How it ended; none when the parent went first.
fn watch(sandbox: &Sandbox, link: &UnixStream) -> Result<Option<Ended>, SetupError> {
    loop {
        // No event is asked for at the link: its end is always reported.
        let mut fds =
            [PollFd::from_borrowed_fd(link.as_fd(), PollFlags::empty()), PollFd::new(&sandbox.control, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => return Err(err).at(Step::Supervise),
        }
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(None);
        }
        if fds[1].revents().is_empty() {
            continue;
        }
        if let Ok(Some(packet)) = packet::receive::<FromInit>(&sandbox.control)
            && let FromInit::Ended { code, signal } = packet.message
        {
            return Ok(Some((code, signal)));
        }
        // The first process was killed without a word.
        let status = rustix::process::waitpid(Some(sandbox.init), WaitOptions::NOHANG).ok().flatten();
        let signal = status.and_then(|(_, status)| status.terminating_signal());
        return Ok(Some((None, signal.or(Some(libc::SIGKILL)))));
    }
}
