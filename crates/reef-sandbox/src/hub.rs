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
    let mut rules = FileRules { read: paths(SYSTEM_READ), write: paths(SYSTEM_WRITE), ..FileRules::default() };
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_confined_process_keeps_to_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["own", "config", "other"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), "").unwrap();
        }
        let path = |name: &str| dir.path().join(name);
        // All of it holds per thread, so the other tests are not confined with this one.
        std::thread::scope(|scope| {
            let confined = scope.spawn(|| {
                let report = confine_hub(&[path("own")], &[path("config")]);
                let holds = |limit: &str| report.iter().any(|e| e.limit == limit && e.enforced);
                assert!(holds("privileges") && holds("capabilities"), "{report:?}");
                assert_eq!(rustix::thread::capabilities(None).unwrap().permitted, CapabilitySet::empty());
                if holds("filesystem") {
                    fs::write(path("own/new"), "").unwrap();
                    fs::read(path("config/file")).unwrap();
                    fs::read("/etc/passwd").unwrap();
                    fs::write(path("config/file"), "").unwrap_err();
                    fs::read(path("other/file")).unwrap_err();
                    fs::write("/etc/reef-test", "").unwrap_err();
                } else {
                    fs::read(path("other/file")).unwrap();
                }
            });
            confined.join().unwrap();
        });
    }
}
