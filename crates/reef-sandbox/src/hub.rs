//! Least rights for the process that faces the network: what it never needs, it cannot do even when it is taken over.

mod view;

use std::{io, path::PathBuf};

use reef_types::Enforcement;
use rustix::thread::{CapabilitySet, Gid, Uid, clear_ambient_capability_set, set_no_new_privs};

use crate::{
    error::{At, SetupError, Step},
    ids::HUB_HOST_UID,
    shim::runs_as_host_root,
    walls::{
        self,
        landlock::{self, FileRules},
    },
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
/// program needs them. Started by the host's root, it becomes [`HUB_HOST_UID`] in a file system that holds nothing else:
/// Landlock does not govern who connects to the sockets of others. Must be called before any thread is started, because it
/// holds for the calling thread and those made later. Forgets what signal the death of the parent sends.
///
/// Returns what was achieved, and why not where it was not.
///
/// # Errors
/// When the host's root cannot be given up, or when `write` lies in a folder of the system; the process may be half
/// confined then, and has to end.
pub fn confine_hub(write: &[PathBuf], read: &[PathBuf]) -> Result<Vec<Enforcement>, SetupError> {
    let mut report = vec![enforcement("privileges", set_no_new_privs(true).map(|()| "no new privileges"))];
    let as_root = runs_as_host_root();
    if as_root {
        view::enter(write, read)?;
    }
    // Only who holds CAP_SETPCAP may touch the bounding set; without new privileges it is of no use to others anyway.
    let bounding = drop_bounding_set();
    if as_root {
        take_identity()?;
    }
    report.push(identity(as_root));
    report.push(enforcement("capabilities", bounding.and_then(|()| drop_all()).map(|()| "none")));
    let mut rules = FileRules { read: paths(SYSTEM_READ), write: paths(SYSTEM_WRITE), ..FileRules::default() };
    rules.read.extend_from_slice(read);
    rules.write.extend_from_slice(write);
    report.push(enforcement("filesystem", landlock::restrict(&rules)));
    Ok(report)
}

fn take_identity() -> Result<(), SetupError> {
    let (uid, gid) = (Uid::from_raw(HUB_HOST_UID), Gid::from_raw(HUB_HOST_UID));
    rustix::thread::set_thread_groups(&[]).at(Step::TakeIdentity)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::TakeIdentity)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::TakeIdentity)
}

fn identity(changed: bool) -> Enforcement {
    let uid = rustix::process::geteuid();
    let result = match (changed, uid.is_root()) {
        (true, _) => Ok(format!("runs as uid {}, which owns nothing else", uid.as_raw())),
        (false, false) => Ok(format!("runs as uid {}, like who started it", uid.as_raw())),
        (false, true) => Err("runs as the root of a user namespace".to_owned()),
    };
    enforcement("identity", result)
}

fn drop_bounding_set() -> io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) { walls::drop_bounding_set() } else { Ok(()) }
}

fn drop_all() -> io::Result<()> {
    clear_ambient_capability_set()?;
    walls::keep_capabilities(CapabilitySet::empty())
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

fn enforcement(limit: &str, result: Result<impl Into<String>, impl ToString>) -> Enforcement {
    let (enforced, reason) = match result {
        Ok(how) => (true, how.into()),
        Err(why) => (false, why.to_string()),
    };
    Enforcement { limit: limit.to_owned(), enforced, reason }
}
