//! Short-lived, sandboxed programs of version installers.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use reef_driver::{DriverError, Reason, Task, TaskExit, TaskMount, TaskRunner};
use reef_sandbox::{
    Limits, Mount, ProgramSpec, Report, ShimSpec, TaskSpec,
    cgroup::{Cgroup, Hierarchies},
    ids::TASK_HOST_UID,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    ShimCommand,
    launch::{self, Launched, Output},
    tree,
};

/// An installation of a large agent takes about half of it.
const LIMITS: Limits = Limits { memory_bytes: 4 << 30, cpus_milli: 4000, pids: 1024 };
/// The end of standard error that is kept for messages, in bytes.
const STDERR_TAIL_BYTES: usize = 8 << 10;
/// Longer lines are split, in bytes.
const LINE_BYTES_MAX: usize = 16 << 10;
const READ_BYTES: usize = 16 << 10;
/// How long the pipes may stay open after the program has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs tasks on this machine.
#[derive(Debug)]
pub struct ProcessTasks {
    shim: ShimCommand,
}

impl ProcessTasks {
    /// Tasks run in shims that are started by `shim`.
    pub fn new(shim: ShimCommand) -> Self {
        Self { shim }
    }
}

#[async_trait]
impl TaskRunner for ProcessTasks {
    async fn run(
        &self,
        task: Task,
        on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError> {
        let cleanup = Cleanup { cgroup: format!("task-{}", reef_types::JobId::new()) };
        let mounts = blocking(move || give_away(&task.mounts).map(|()| task.mounts)).await?;
        let program = ProgramSpec {
            hostname: "task".to_owned(),
            host_uid: TASK_HOST_UID,
            argv: task.argv,
            env: task.env.into_iter().collect(),
            cwd: task.cwd,
            mounts: mounts
                .into_iter()
                .map(|m| Mount { host: m.host, sandbox: PathBuf::from(m.sandbox), writable: m.writable })
                .collect(),
            limits: LIMITS,
            cgroup: cleanup.cgroup.clone(),
        };
        let mut launched =
            launch::launch(&self.shim, &ShimSpec::Task(TaskSpec { program }), &[], Output::Pipes).await?;
        let exit = follow(&mut launched, on_line).await?;
        let _ = launched.child.wait().await;
        Ok(exit)
    }
}

async fn follow(
    launched: &mut Launched,
    on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
) -> Result<TaskExit, DriverError> {
    let (Some(mut stdout), Some(mut stderr)) = (launched.child.stdout.take(), launched.child.stderr.take()) else {
        return Err(DriverError::new(Reason::Internal, "the task has no output"));
    };
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let mut tail = Vec::new();
    let mut exit = None;
    let (mut out_open, mut err_open) = (true, true);
    while exit.is_none() || out_open || err_open {
        let ended = exit.is_some();
        tokio::select! {
            chunk = read(&mut stdout), if out_open => match chunk {
                Some(bytes) => out.feed(&bytes, on_line),
                None => out_open = false,
            },
            chunk = read(&mut stderr), if err_open => match chunk {
                Some(bytes) => {
                    keep_tail(&mut tail, &bytes);
                    err.feed(&bytes, on_line);
                }
                None => err_open = false,
            },
            report = launched.next_report(), if !ended => match report {
                Some(Report::Exited(record)) => exit = Some(record),
                _ => return Err(DriverError::new(Reason::Internal, "the task's shim died")),
            },
            () = tokio::time::sleep(DRAIN_TIMEOUT), if ended => break,
        }
    }
    out.finish(on_line);
    err.finish(on_line);
    let exit = exit.unwrap_or_default();
    if exit.out_of_memory && exit.code != Some(0) {
        return Err(DriverError::new(Reason::Exhausted, "the task used up its memory limit"));
    }
    Ok(TaskExit { code: exit.code, stderr_tail: String::from_utf8_lossy(&tail).into_owned() })
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut buffer = vec![0; READ_BYTES];
    let count = from.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
    buffer.truncate(count);
    Some(buffer)
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
    tail.drain(..surplus);
}

/// What a task may write must belong to whom it runs as.
fn give_away(mounts: &[TaskMount]) -> Result<(), DriverError> {
    if !reef_sandbox::shim::runs_as_host_root() {
        return Ok(());
    }
    for mount in mounts.iter().filter(|mount| mount.writable) {
        tree::give(&mount.host, TASK_HOST_UID)
            .map_err(|err| DriverError::io("cannot hand a folder over to the task", &err))?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
) -> Result<T, DriverError> {
    tokio::task::spawn_blocking(work).await.map_err(|err| DriverError::new(Reason::Internal, err.to_string()))?
}

/// Cuts output into lines.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], on_line: &mut (dyn FnMut(&str) + Send)) {
        for byte in bytes {
            // Progress bars go back to the start of the line instead of on to the next one.
            if matches!(byte, b'\n' | b'\r') || self.partial.len() == LINE_BYTES_MAX {
                self.finish(on_line);
            }
            if !matches!(byte, b'\n' | b'\r') {
                self.partial.push(*byte);
            }
        }
    }

    fn finish(&mut self, on_line: &mut (dyn FnMut(&str) + Send)) {
        if !self.partial.is_empty() {
            on_line(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
        }
    }
}

/// Removes the cgroup that a killed shim could not remove itself.
struct Cleanup {
    cgroup: String,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let cgroup = Cgroup::locate(&Hierarchies::of_this_process(), &self.cgroup);
        if cgroup == Cgroup::default() {
            return;
        }
        // It may be busy for a moment, and a destructor must not wait.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || {
                cgroup.kill();
                let _ = cgroup.remove();
            });
        }
    }
}
