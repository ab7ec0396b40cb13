//! What language runtimes read to size their heaps and thread pools: without it they go by the memory of the whole host,
//! and are killed where they could have collected garbage.
//!
//! Plain files in the places of both cgroup versions. They inform and limit nothing.

use std::{fs, io, path::Path};

use crate::spec::Limits;

const CPU_PERIOD_USEC: u64 = 100_000;

pub(super) fn write(dir: &Path, limits: &Limits) -> io::Result<()> {
    let quota = u64::from(limits.cpus_milli) * CPU_PERIOD_USEC / 1000;
    let files = [
        ("memory.max", limits.memory_bytes.to_string()),
        ("memory.high", "max".to_owned()),
        ("cpu.max", format!("{quota} {CPU_PERIOD_USEC}")),
        ("memory/memory.limit_in_bytes", limits.memory_bytes.to_string()),
        ("memory/memory.soft_limit_in_bytes", limits.memory_bytes.to_string()),
        ("cpu/cpu.cfs_quota_us", quota.to_string()),
        ("cpu/cpu.cfs_period_us", CPU_PERIOD_USEC.to_string()),
    ];
    for (name, value) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, format!("{value}\n"))?;
    }
    Ok(())
}
