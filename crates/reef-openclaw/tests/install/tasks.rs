//! Runs tasks without a sandbox: the paths of the sandbox are replaced by those of the host.

use std::process::Stdio;

use async_trait::async_trait;
use reef_driver::{DriverError, Task, TaskExit, TaskRunner};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// Plain processes.
#[derive(Debug)]
pub(crate) struct PlainTasks;

#[async_trait]
impl TaskRunner for PlainTasks {
    async fn run(
        &self,
        task: Task,
        on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError> {
        let on_host = |text: &str| {
            let mut text = text.to_owned();
            for mount in &task.mounts {
                text = text.replace(&mount.sandbox, mount.host.to_str().unwrap());
            }
            text
        };
        let mut child = Command::new(on_host(&task.argv[0]))
            .args(task.argv[1..].iter().map(|arg| on_host(arg)))
            .env_clear()
            .envs(task.env.iter().map(|(name, value)| (name, on_host(value))))
            .current_dir(on_host(&task.cwd))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| DriverError::io("the task cannot be started", &err))?;
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut tail = Vec::new();
        let (mut more_out, mut more_err) = (true, true);
        while more_out || more_err {
            tokio::select! {
                line = stdout.next_line(), if more_out => match line.unwrap() {
                    Some(line) => on_line(&line),
                    None => more_out = false,
                },
                line = stderr.next_line(), if more_err => match line.unwrap() {
                    Some(line) => {
                        on_line(&line);
                        tail.push(line);
                    }
                    None => more_err = false,
                },
            }
        }
        let status = child.wait().await.map_err(|err| DriverError::io("the task cannot be waited for", &err))?;
        let tail = tail.split_off(tail.len().saturating_sub(5));
        Ok(TaskExit { code: status.code(), stderr_tail: tail.join("\n") })
    }
}
