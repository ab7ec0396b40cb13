//! What the kernel says about a process, and where processes run.

use std::{fs, process, time::Duration};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// `utime` and `stime` are counted in these (`USER_HZ`, the same on every Linux that this runs on).
const TICKS_PER_SECOND: u64 = 100;

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The part that belongs to this process alone; the rest is its program file, shared and given back under pressure.
    pub(crate) anonymous: u64,
    pub(crate) peak: u64,
}

/// What a process holds now.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
}

/// CPU time that a process has used so far, all its threads together, ended ones included.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
    // The name in parentheses may hold anything; what follows it is regular (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit_once(')').context("no process status")?.1.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("too few fields")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND))
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}

/// Where what is measured runs, and where everything else does: two CPUs where there are two, so that the load does not
/// take the time of what it loads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Measured,
    Load,
}

/// Keeps this thread, and what it starts from now on, on one side. Does nothing on a machine with one CPU.
pub(crate) fn pin(side: Side) -> Result<()> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 && !matches!(side, Side::Load) {
        return Ok(());
    }
    let mut cpus = CpuSet::new();
    cpus.set(match side {
        Side::Load => 0,
        Side::Measured => 1,
    });
    sched_setaffinity(None, &cpus).context("this process cannot choose its CPU")
}

/// A child that ends with this value.
pub(crate) struct Process(process::Child);

impl Process {
    pub(crate) fn spawn(command: &mut process::Command) -> Result<Self> {
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Fails when it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("it ended early: {status}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
            && matches!(self.0.try_wait(), Ok(None))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}
