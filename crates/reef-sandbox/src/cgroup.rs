//! Limits for all processes of a sandbox together: one cgroup each, below the place where this process itself lives.
//!
//! Works on version 1, 2 and the mixture of both, controller by controller. A limit that the host does not allow is
//! reported as not enforced, with the reason, and is never a reason not to start. Must not move processes that are not
//! ours.

mod find;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reef_types::Enforcement;
use serde::{Deserialize, Serialize};

use crate::{spec::Limits, sys};
pub use find::{Hierarchies, Place, Version};

/// The folder, below the own cgroup, that holds those of all sandboxes.
const PARENT: &str = "reef";
const CPU_PERIOD_USEC: u64 = 100_000;
/// How long a cgroup may stay busy after its last process has ended.
const REMOVE_WAIT: Duration = Duration::from_millis(10);
const REMOVE_TRIES_MAX: u32 = 100;

/// What is limited, and the controller that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    Memory,
    Cpu,
    Pids,
    /// Version 1 only: counts cpu time and limits nothing.
    Cpuacct,
}

impl Controller {
    const ALL: [Controller; 4] = [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Cpuacct];

    fn as_str(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
            Controller::Cpuacct => "cpuacct",
        }
    }

    /// Whether it limits something that is reported.
    fn is_limit(self) -> bool {
        self != Controller::Cpuacct
    }
}

/// The cgroup of one sandbox: one folder per controller, some of them the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    places: Vec<(Controller, Place)>,
    /// A version 2 folder that is there even when no controller is: all its processes can be killed at once.
    unified: Option<PathBuf>,
}

/// Resource use of a cgroup now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    pub memory_bytes: u64,
    pub cpu_usec: u64,
    pub pids: u32,
}

impl Cgroup {
    /// Makes the cgroup `name` with `limits` and says which of them hold. Never fails as a whole.
    pub fn create(hierarchies: &Hierarchies, name: &str, limits: &Limits) -> (Self, Vec<Enforcement>) {
        let mut cgroup = Self::default();
        let mut report = Vec::new();
        if let Some(base) = hierarchies.unified() {
            cgroup.unified = make(base, name).ok();
        }
        for controller in Controller::ALL {
            let result = cgroup.add(hierarchies, controller, name, limits);
            if controller.is_limit() {
                let (enforced, reason) = match result {
                    Ok(version) => (true, format!("cgroup {version}")),
                    Err(reason) => (false, reason),
                };
                report.push(Enforcement { limit: controller.as_str().to_owned(), enforced, reason });
            }
        }
        (cgroup, report)
    }

    /// The cgroup that [`Cgroup::create`] would have made; for cleaning up after a shim that was killed.
    pub fn locate(hierarchies: &Hierarchies, name: &str) -> Self {
        let place = |base: Place| Place { version: base.version, dir: base.dir.join(PARENT).join(name) };
        let places = Controller::ALL
            .into_iter()
            .filter_map(|c| Some((c, place(hierarchies.base(c).ok()?))))
            .filter(|(_, place)| place.dir.is_dir())
            .collect();
        let unified = hierarchies.unified().map(|base| base.join(PARENT).join(name)).filter(|dir| dir.is_dir());
        Self { places, unified }
    }

    fn add(
        &mut self,
        hierarchies: &Hierarchies,
        controller: Controller,
        name: &str,
        limits: &Limits,
    ) -> Result<Version, String> {
        let base = hierarchies.base(controller)?;
        if base.version == Version::V2 {
            enable(&base.dir, controller)?;
            enable(&base.dir.join(PARENT), controller)?;
        }
        let dir = make(&base.dir, name).map_err(|err| not_made(&err))?;
        let place = Place { version: base.version, dir };
        apply(&place, controller, limits).map_err(|err| format!("the limit cannot be set: {err}"))?;
        let version = place.version;
        self.places.push((controller, place));
        Ok(version)
    }

    /// Moves a process in. Returns the limits that therefore do not hold.
    pub fn enter(&self, pid: u32) -> Vec<Enforcement> {
        let mut failed = Vec::new();
        for (controller, place) in &self.places {
            if let Err(err) = fs::write(place.dir.join("cgroup.procs"), pid.to_string())
                && controller.is_limit()
            {
                let reason = format!("the process cannot be put into the cgroup: {err}");
                failed.push(Enforcement { limit: controller.as_str().to_owned(), enforced: false, reason });
            }
        }
        if let Some(dir) = &self.unified {
            // Only the shortcut for killing is lost; the end of the first process kills the others too.
            let _ = fs::write(dir.join("cgroup.procs"), pid.to_string());
        }
        failed
    }

    /// How often the kernel killed in here because the memory limit was reached.
    pub fn oom_kills(&self) -> u64 {
        let Some(place) = self.place(Controller::Memory) else { return 0 };
        let file = match place.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        read_field(&place.dir.join(file), "oom_kill").unwrap_or(0)
    }

    /// Resource use now; none when nothing here counts.
    pub fn usage(&self) -> Option<CgroupUsage> {
        let read = |controller: Controller, v1: &str, v2: &str| {
            let place = self.place(controller)?;
            let file = if place.version == Version::V1 { v1 } else { v2 };
            read_number(&place.dir.join(file))
        };
        let memory = read(Controller::Memory, "memory.usage_in_bytes", "memory.current");
        let pids = read(Controller::Pids, "pids.current", "pids.current");
        let cpu_usec = match (self.place(Controller::Cpuacct), self.place(Controller::Cpu)) {
            (Some(place), _) => read_number(&place.dir.join("cpuacct.usage")).map(|nsec| nsec / 1000),
            (None, Some(place)) if place.version == Version::V2 => {
                read_field(&place.dir.join("cpu.stat"), "usage_usec")
            }
            _ => None,
        };
        if memory.is_none() && pids.is_none() && cpu_usec.is_none() {
            return None;
        }
        Some(CgroupUsage {
            memory_bytes: memory.unwrap_or(0),
            cpu_usec: cpu_usec.unwrap_or(0),
            pids: u32::try_from(pids.unwrap_or(0)).unwrap_or(u32::MAX),
        })
    }

    /// Kills everything in it at once, where the kernel can.
    pub fn kill(&self) {
        if let Some(dir) = &self.unified {
            // Kernels before 5.14 have no such file; the caller kills the first process as well.
            let _ = fs::write(dir.join("cgroup.kill"), "1");
        }
    }

    /// Removes it; it is no error when it is gone already.
    ///
    /// # Errors
    /// When processes are left in it.
    pub fn remove(&self) -> io::Result<()> {
        for dir in self.dirs() {
            for attempt in 1.. {
                match fs::remove_dir(dir) {
                    Ok(()) => break,
                    Err(err) if err.kind() == io::ErrorKind::NotFound => break,
                    Err(err) if err.kind() == io::ErrorKind::ResourceBusy && attempt < REMOVE_TRIES_MAX => {
                        sys::pause(REMOVE_WAIT);
                    }
                    Err(err) => return Err(err),
                }
            }
        }
        Ok(())
    }

    fn dirs(&self) -> Vec<&Path> {
        let mut dirs: Vec<&Path> = self.places.iter().map(|(_, place)| place.dir.as_path()).collect();
        dirs.extend(self.unified.as_deref());
        dirs.sort_unstable();
        dirs.dedup();
        dirs
    }

    fn place(&self, controller: Controller) -> Option<&Place> {
        self.places.iter().find(|(c, _)| *c == controller).map(|(_, place)| place)
    }
}

fn make(base: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = base.join(PARENT).join(name);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Says what helps, where something does: an ordinary user may make cgroups only where the system lets them.
fn not_made(err: &io::Error) -> String {
    let help = match err.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "; start Reef where a cgroup is delegated to you, for example by `systemd-run --user -p Delegate=yes -p \
             DelegateSubgroup={} reef up`",
            find::SUPERVISOR,
        ),
        _ => String::new(),
    };
    format!("the cgroup cannot be made: {err}{help}")
}

/// Hands a version 2 controller down to the children of `dir`.
fn enable(dir: &Path, controller: Controller) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|err| not_made(&err))?;
    let file = dir.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file).unwrap_or_default();
    if enabled.split_ascii_whitespace().any(|word| word == controller.as_str()) {
        return Ok(());
    }
    fs::write(&file, format!("+{}", controller.as_str())).map_err(|err| match err.kind() {
        // cgroup-v2.rst, "No Internal Process Constraint".
        io::ErrorKind::ResourceBusy => format!(
            "the own cgroup has processes of its own; start Reef in a sub-cgroup named `{}` (systemd: Delegate=yes and \
             DelegateSubgroup={})",
            find::SUPERVISOR,
            find::SUPERVISOR
        ),
        _ => format!("the controller is not delegated to this user: {err}"),
    })
}

fn apply(place: &Place, controller: Controller, limits: &Limits) -> io::Result<()> {
    let write = |file: &str, value: String| fs::write(place.dir.join(file), value);
    match (controller, place.version) {
        (Controller::Memory, Version::V1) => {
            write("memory.limit_in_bytes", limits.memory_bytes.to_string())?;
            // Both are there only with swap accounting; without swap the first one is the whole limit.
            let _ = write("memory.memsw.limit_in_bytes", limits.memory_bytes.to_string());
            let _ = write("memory.swappiness", "0".to_owned());
            Ok(())
        }
        (Controller::Memory, Version::V2) => {
            write("memory.max", limits.memory_bytes.to_string())?;
            let _ = write("memory.swap.max", "0".to_owned());
            Ok(())
        }
        (Controller::Cpu, Version::V1) => {
            write("cpu.cfs_period_us", CPU_PERIOD_USEC.to_string())?;
            write("cpu.cfs_quota_us", quota_usec(limits).to_string())
        }
        (Controller::Cpu, Version::V2) => write("cpu.max", format!("{} {CPU_PERIOD_USEC}", quota_usec(limits))),
        (Controller::Pids, _) => write("pids.max", limits.pids.to_string()),
        (Controller::Cpuacct, _) => Ok(()),
    }
}

/// The kernel refuses quotas below one millisecond.
fn quota_usec(limits: &Limits) -> u64 {
    (u64::from(limits.cpus_milli) * CPU_PERIOD_USEC / 1000).max(1000)
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn read_field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
