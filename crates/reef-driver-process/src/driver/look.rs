//! What an instance's run folder and the kernel say together.

use std::{fs, path::Path};

use reef_driver::{Exit, Observed, ProcessState, Usage};
use reef_sandbox::{
    ExitRecord, RunRecord,
    spec::{EXIT_RECORD, RUN_RECORD},
};
use reef_types::InstanceId;
use serde::de::DeserializeOwned;

use crate::layout::InstanceDir;

/// The state of one instance.
#[derive(Debug)]
pub(super) enum Look {
    /// Never started, or started before its data was kept and the rest destroyed.
    Absent,
    Running(RunRecord),
    /// The first process is gone, its shim is not: it is about to write down how it ended.
    Ending(RunRecord),
    /// With the record of the run, unless it failed before there was one.
    Exited(ExitRecord, Option<RunRecord>),
}

/// Looks, and clears away what a shim that was killed has left.
pub(super) fn look(dir: &InstanceDir) -> Look {
    let run = dir.run();
    let exit = || read::<ExitRecord>(&run.join(EXIT_RECORD));
    let Some(record) = read::<RunRecord>(&run.join(RUN_RECORD)) else {
        return exit().map_or(Look::Absent, |exit| Look::Exited(exit, None));
    };
    match (record.shim.is_alive(), record.init.is_alive()) {
        (true, true) => Look::Running(record),
        (true, false) => Look::Ending(record),
        (false, _) => {
            // The kernel kills it with its shim; this only makes sure.
            let _ = record.init.kill();
            let _ = record.cgroup.remove();
            let unknown = ExitRecord { generation: record.generation, ..ExitRecord::default() };
            Look::Exited(exit().unwrap_or(unknown), Some(record))
        }
    }
}

impl Look {
    pub(super) fn observed(self, id: InstanceId) -> Observed {
        let (generation, process, enforced, usage) = match self {
            Look::Absent => (0, ProcessState::Absent, Vec::new(), None),
            Look::Running(record) | Look::Ending(record) => {
                let usage = record.cgroup.usage().map(|usage| Usage {
                    memory_bytes: usage.memory_bytes,
                    cpu_usec: usage.cpu_usec,
                    pids: usage.pids,
                });
                (record.generation, ProcessState::Running { pid: record.init.pid }, record.enforced, usage)
            }
            Look::Exited(exit, record) => {
                let enforced = record.map(|record| record.enforced).unwrap_or_default();
                (exit.generation, ProcessState::Exited { exit: describe(exit) }, enforced, None)
            }
        };
        Observed { id, generation, process, enforced, usage }
    }
}

fn describe(exit: ExitRecord) -> Exit {
    let ExitRecord { code, signal, out_of_memory, setup_error, .. } = exit;
    Exit { code, signal, out_of_memory, setup_error }
}

/// A record that is not whole is none: they are replaced as a whole, so it is not ours.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
