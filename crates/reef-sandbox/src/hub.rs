//! Least rights for the process that faces the network: what it never needs, it cannot do even when it is taken over.

use std::path::PathBuf;

use reef_types::Enforcement;
use rustix::thread::{CapabilitySet, clear_ambient_capability_set, set_no_new_privs};

use crate::walls::{
    self,
    landlock::{self, FileRules},
};

/// What every program reads: libraries, names of hosts, certificates, the time, devices without effect.
const SYSTEM_READ: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/proc",
    "/sys/fs/cgroup",
    "/run/systemd/resolve",
    "/dev",
];
const SYSTEM_WRITE: &[&str] = &["/dev/null", "/dev/tty", "/dev/pts"];

/// Confines the calling process, for good: no new privileges, no capabilities, and files only as named here and as every
/// program needs them. Best effort; returns what was achieved, and why not where it was not. Must be called before any
/// thread is started, because it holds for the calling thread and those made later.
pub fn confine_hub(write: &[PathBuf], read: &[PathBuf]) -> Vec<Enforcement> {
    let mut rules = FileRules { read: paths(SYSTEM_READ), write: paths(SYSTEM_WRITE) };
    rules.read.extend_from_slice(read);
    rules.write.extend_from_slice(write);
    vec![
        enforcement("privileges", set_no_new_privs(true).map(|()| "no new privileges").map_err(|err| err.to_string())),
        enforcement("capabilities", drop_all().map(|()| "none").map_err(|err| err.to_string())),
        enforcement("filesystem", landlock::restrict(&rules)),
    ]
}

fn drop_all() -> std::io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    // Only who holds CAP_SETPCAP may touch the bounding set; without new privileges it is of no use to others anyway.
    if held.effective.contains(CapabilitySet::SETPCAP) {
        walls::drop_bounding_set()?;
    }
    clear_ambient_capability_set()?;
    walls::keep_capabilities(CapabilitySet::empty())
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

fn enforcement(limit: &str, result: Result<impl Into<String>, String>) -> Enforcement {
    let (enforced, reason) = match result {
        Ok(how) => (true, how.into()),
        Err(why) => (false, why),
    };
    Enforcement { limit: limit.to_owned(), enforced, reason }
}
