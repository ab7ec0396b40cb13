//! One connection to the door keeper: one request, one answer, and a deadline for both.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, kill_process},
};

use super::State;
use crate::{
    packet,
    shim::door::{self, Dialled},
    spec::{KeeperError, KeeperReply, KeeperRequest},
};

/// Between connecting and having asked.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Until a port inside must have accepted; on loopback it does so at once, or its queue is full.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest grace of a stop.
const GRACE_MAX: Duration = Duration::from_secs(600);

/// A connected client and how far it is.
pub(super) struct Client {
    socket: OwnedFd,
    deadline: Instant,
    /// The connection that it asked for, not yet made.
    dialling: Option<OwnedFd>,
}

/// Whether the connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Waits,
    Done,
}

/// What a request led to.
enum Answer {
    Plain(KeeperReply),
    Socket(OwnedFd),
    Later(OwnedFd),
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, deadline: Instant::now() + ASK_TIMEOUT, dialling: None }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What to poll for.
    pub(super) fn interest(&self) -> (&OwnedFd, PollFlags) {
        match &self.dialling {
            Some(socket) => (socket, PollFlags::OUT),
            None => (&self.socket, PollFlags::IN),
        }
    }

    /// Goes as far as it can without waiting.
    pub(super) fn serve(&mut self, state: &mut State, now: Instant) -> Served {
        let answer = match self.dialling.take() {
            Some(socket) => self.finish_dial(socket, now),
            None => match packet::receive::<KeeperRequest>(&self.socket) {
                Ok(Some(packet)) => self.answer(packet.message, state, now),
                Ok(None) => return Served::Done,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    return if now < self.deadline { Served::Waits } else { Served::Done };
                }
                Err(_) => refuse(KeeperError::Invalid, "not a request"),
            },
        };
        // A client that does not take its answer has gone, or will never take it.
        match answer {
            Answer::Later(socket) => {
                self.dialling = Some(socket);
                return Served::Waits;
            }
            Answer::Plain(reply) => drop(packet::send(&self.socket, &reply, None)),
            Answer::Socket(fd) => drop(packet::send(&self.socket, &KeeperReply::Ok, Some(fd.as_fd()))),
        }
        Served::Done
    }

    fn answer(&mut self, request: KeeperRequest, state: &mut State, now: Instant) -> Answer {
        match request {
            KeeperRequest::Dial { port } => match door::dial(port) {
                Ok(Dialled::Connected(socket)) => Answer::Socket(socket),
                Ok(Dialled::Underway(socket)) => {
                    self.deadline = now + DIAL_TIMEOUT;
                    self.finish_dial(socket, now)
                }
                Err(err) => refuse(KeeperError::Unavailable, &format!("port {port}: {err}")),
            },
            KeeperRequest::Door { port } => match state.doors.iter().find(|(p, _)| *p == port) {
                Some((_, fd)) => match rustix::io::fcntl_dupfd_cloexec(fd, 0) {
                    Ok(copy) => Answer::Socket(copy),
                    Err(err) => refuse(KeeperError::Failed, &err.to_string()),
                },
                None => refuse(KeeperError::NotFound, &format!("there is no door at port {port}")),
            },
            KeeperRequest::Secrets { secrets } => match state.secrets.replace(&secrets) {
                Ok(()) => Answer::Plain(KeeperReply::Ok),
                Err(err) if err.kind() == io::ErrorKind::InvalidInput => refuse(KeeperError::Invalid, &err.to_string()),
                Err(err) => refuse(KeeperError::Failed, &err.to_string()),
            },
            KeeperRequest::Stop { grace_ms } => {
                let at = now + Duration::from_millis(grace_ms).min(GRACE_MAX);
                // A second, more patient stop does not lengthen the first.
                state.kill_at = Some(state.kill_at.map_or(at, |earlier| earlier.min(at)));
                let _ = kill_process(state.init, Signal::TERM);
                Answer::Plain(KeeperReply::Ok)
            }
            KeeperRequest::Status => Answer::Plain(KeeperReply::Ok),
        }
    }

    fn finish_dial(&mut self, socket: OwnedFd, now: Instant) -> Answer {
        if !is_writable(&socket) {
            return match now < self.deadline {
                true => Answer::Later(socket),
                false => refuse(KeeperError::Unavailable, "the port does not accept connections in time"),
            };
        }
        match door::outcome(&socket) {
            Ok(()) => Answer::Socket(socket),
            Err(err) => refuse(KeeperError::Unavailable, &err.to_string()),
        }
    }
}

fn is_writable(socket: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(socket, PollFlags::OUT)];
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

fn refuse(error: KeeperError, message: &str) -> Answer {
    Answer::Plain(KeeperReply::Refused { error, message: message.to_owned() })
}
