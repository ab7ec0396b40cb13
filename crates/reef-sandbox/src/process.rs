//! Naming processes so that a reused process id is never mistaken for the old process.

use std::{fs, io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process of this host, of this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRef {
    pub pid: u32,
    /// Clock ticks between boot and start: field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
    pub boot_id: String,
}

impl ProcessRef {
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = read_stat(pid)?;
        Ok(Self { pid, start_ticks: stat.start_ticks, boot_id: boot_id()? })
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        read_stat(self.pid).is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.dead)
            && boot_id().is_ok_and(|id| id == self.boot_id)
    }

    /// A descriptor that becomes readable when the process ends; none when it has ended already.
    pub fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Only now does the pid belong to us: it cannot be reused while the descriptor is open.
        self.is_alive().then_some(fd)
    }

    /// Kills it, and nothing else; a process that has ended already is no error.
    ///
    /// # Errors
    /// When the host does not allow it.
    pub fn kill(&self) -> io::Result<()> {
        let Some(fd) = self.open() else { return Ok(()) };
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

struct Stat {
    start_ticks: u64,
    dead: bool,
}

fn read_stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/<pid>/stat"))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command name is in brackets and may itself hold brackets and spaces: the last one counts.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    Some(Stat { start_ticks: fields.nth(18)?.parse().ok()?, dead })
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_fake_the_fields() {
        let text = "7 (a) R 1 2) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let stat = parse_stat(text).unwrap();
        assert!(stat.dead);
        assert_eq!(stat.start_ticks, 4711);
    }

    #[test]
    fn only_the_same_start_is_the_same_process() {
        let own = ProcessRef::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(own.open().is_some());
        let other_start = ProcessRef { start_ticks: own.start_ticks + 1, ..own.clone() };
        let other_boot = ProcessRef { boot_id: "x".to_owned(), ..own };
        for stale in [other_start, other_boot] {
            assert!(!stale.is_alive());
            assert!(stale.open().is_none());
            stale.kill().unwrap();
        }
    }
}
