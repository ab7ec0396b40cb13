//! The door keeper: serves the node at the shim's socket, reads what the program writes, and sees it end.
//!
//! One thread, one poll, nothing that blocks: a stuck client or a silent port must not keep others waiting. Clients are
//! of the same user, but whatever they send is checked like a stranger's.

mod client;

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::SocketFlags,
    process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid},
};

use super::{
    Sandbox,
    log::{Lines, Log, Stream},
    secrets::Secrets,
};
use crate::{init::FromInit, packet};
use client::{Client, Served};

/// Connections waiting to be accepted.
pub(super) const BACKLOG: i32 = 64;
/// Connections served at once; further ones wait.
const CLIENTS_MAX: usize = 64;
/// Bytes taken from a pipe at a time, so that one busy stream does not starve the rest.
const READ_BYTES: usize = 64 << 10;
/// Bytes logged per second. A program that writes more has to wait: writing costs the host time that is not counted as
/// the program's own.
const LOG_BYTES_PER_SECOND_MAX: usize = 16 << 20;

/// Listening sockets inside, by port.
pub(super) type Doors = Vec<(u16, OwnedFd)>;

/// How the program ended.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// SIGKILL came from here, because the grace was over.
    pub(super) killed_by_us: bool,
}

/// Everything that the shim watches.
pub(super) struct Keeper {
    init: Pid,
    init_fd: OwnedFd,
    listener: OwnedFd,
    pipes: Vec<Pipe>,
    clients: Vec<Client>,
    state: State,
    rate: Rate,
}

/// How much was logged in the current second.
struct Rate {
    since: Instant,
    bytes: usize,
}

impl Rate {
    fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    /// When reading may go on; none when it may now.
    fn resume_at(&mut self) -> Option<Instant> {
        let next = self.since + Duration::from_secs(1);
        if Instant::now() >= next {
            *self = Self::new();
        }
        (self.bytes >= LOG_BYTES_PER_SECOND_MAX).then_some(next)
    }
}

/// What requests act on.
struct State {
    init: Pid,
    doors: Doors,
    secrets: Secrets,
    /// When all of the sandbox is to be killed.
    kill_at: Option<Instant>,
}

struct Pipe {
    fd: OwnedFd,
    lines: Lines,
}

impl Keeper {
    pub(super) fn new(
        sandbox: &Sandbox,
        listener: OwnedFd,
        doors: Doors,
        secrets: Secrets,
        [stdout, stderr]: [OwnedFd; 2],
    ) -> io::Result<Self> {
        let init = sandbox.init;
        let pipe = |fd, stream| Pipe { fd, lines: Lines::new(stream) };
        Ok(Self {
            init,
            init_fd: pidfd_open(init, PidfdFlags::empty())?,
            listener,
            pipes: vec![pipe(stdout, Stream::Stdout), pipe(stderr, Stream::Stderr)],
            clients: Vec::new(),
            state: State { init, doors, secrets, kill_at: None },
            rate: Rate::new(),
        })
    }

    /// Returns when the first process is gone, and with it everything inside.
    pub(super) fn run(&mut self, sandbox: &Sandbox, log: &mut Log) -> End {
        let mut end = End::default();
        let mut told = None;
        loop {
            let paused = self.rate.resume_at();
            let ready = self.wait(sandbox, told.is_none(), paused);
            if ready.control {
                // An unreadable message ends the watching of the socket, not the instance.
                told = Some(match packet::receive::<FromInit>(&sandbox.control) {
                    Ok(Some(packet::Packet { message: FromInit::Ended { code, signal }, .. })) => (code, signal),
                    _ => (None, None),
                });
            }
            if ready.init {
                self.drain_pipes(log);
                break;
            }
            if paused.is_none() {
                self.read_pipes(log);
            }
            if ready.listener {
                self.accept();
            }
            self.serve();
            if self.state.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.state.kill_at = None;
                end.killed_by_us = true;
                sandbox.cgroup.kill();
                let _ = kill_process(self.init, Signal::KILL);
            }
        }
        (end.code, end.signal) = told.unwrap_or_default();
        let status = waitpid(Some(self.init), WaitOptions::empty()).ok().flatten();
        if end.code.is_none() && end.signal.is_none() {
            end.signal = status.and_then(|(_, status)| status.terminating_signal());
        }
        let _ = self.state.secrets.replace(&[]);
        end
    }

    fn wait(&self, sandbox: &Sandbox, listen_to_init: bool, paused: Option<Instant>) -> Ready {
        let mut fds = vec![PollFd::new(&self.init_fd, PollFlags::IN)];
        let control = listen_to_init.then(|| push(&mut fds, &sandbox.control, PollFlags::IN));
        let listener = (self.clients.len() < CLIENTS_MAX).then(|| push(&mut fds, &self.listener, PollFlags::IN));
        if paused.is_none() {
            for pipe in &self.pipes {
                push(&mut fds, &pipe.fd, PollFlags::IN);
            }
        }
        for client in &self.clients {
            let (fd, events) = client.interest();
            push(&mut fds, fd, events);
        }
        match poll(&mut fds, self.timeout(paused).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ready::default(),
            // Out of kernel memory: do not spin.
            Err(_) => crate::sys::pause(Duration::from_millis(100)),
        }
        let ready = |index: Option<usize>| index.is_some_and(|index| !fds[index].revents().is_empty());
        Ready { init: ready(Some(0)), control: ready(control), listener: ready(listener) }
    }

    /// Until the next deadline.
    fn timeout(&self, paused: Option<Instant>) -> Option<Timespec> {
        let next = self.clients.iter().map(Client::deadline).chain(self.state.kill_at).chain(paused).min()?;
        Timespec::try_from(next.saturating_duration_since(Instant::now())).ok()
    }

    fn read_pipes(&mut self, log: &mut Log) {
        let mut buffer = vec![0; READ_BYTES];
        self.pipes.retain_mut(|pipe| match rustix::io::read(&pipe.fd, &mut buffer) {
            Ok(0) => {
                pipe.lines.finish(log);
                false
            }
            Ok(count) => {
                self.rate.bytes += count;
                pipe.lines.feed(&buffer[..count], log);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        });
    }

    /// All that is left when nobody can write any more; never more than two full pipes.
    fn drain_pipes(&mut self, log: &mut Log) {
        let mut before = usize::MAX;
        while !self.pipes.is_empty() && self.rate.bytes != before {
            before = self.rate.bytes;
            self.read_pipes(log);
        }
        for pipe in &mut self.pipes {
            pipe.lines.finish(log);
        }
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = rustix::net::accept_with(&self.listener, flags) else { return };
        let own = rustix::process::geteuid();
        // The mode of the socket says the same; this holds even where the folder was opened up by mistake.
        if rustix::net::sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.uid == own) {
            self.clients.push(Client::new(socket));
        }
    }

    fn serve(&mut self) {
        let now = Instant::now();
        let state = &mut self.state;
        self.clients.retain_mut(|client| client.serve(state, now) == Served::Waits);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Ready {
    init: bool,
    control: bool,
    listener: bool,
}

fn push<'a>(fds: &mut Vec<PollFd<'a>>, fd: &'a OwnedFd, events: PollFlags) -> usize {
    fds.push(PollFd::new(fd, events));
    fds.len() - 1
}
