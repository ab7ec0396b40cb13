//! A driver in a folder of its own, and workloads that are shell scripts.

use std::{path::PathBuf, time::Duration};

use futures_util::StreamExt;
use reef_driver::{DataPolicy, Driver, Exit, LogLine, LogQuery, ProcessState, SecretFile, Workload};
use reef_driver_process::{ProcessConfig, ProcessDriver, ShimCommand};
use reef_types::{Egress, InstanceId, Resources};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn shim() -> ShimCommand {
    ShimCommand { program: env!("CARGO_BIN_EXE_reef-shim").into(), args: Vec::new() }
}

pub(crate) struct Fixture {
    pub(crate) driver: ProcessDriver,
    pub(crate) root: PathBuf,
    instances: Vec<InstanceId>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("instances");
        Self { driver: driver(root.clone()), root, instances: Vec::new(), _dir: dir }
    }

    /// The folder with the versions.
    pub(crate) fn versions(&self) -> PathBuf {
        self.root.with_file_name("versions")
    }

    /// The same folders, seen by a node that has just started.
    pub(crate) fn restarted(&self) -> ProcessDriver {
        driver(self.root.clone())
    }

    pub(crate) fn workload(&mut self, script: &str) -> Workload {
        let id = InstanceId::new();
        self.instances.push(id);
        Workload {
            id,
            name: "scout".parse().unwrap(),
            generation: 7,
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: [("PATH", "/usr/bin:/bin"), ("HOME", "/home/agent")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            cwd: "/home/agent".to_owned(),
            versions: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            resources: Resources { memory_bytes: 256 << 20, cpus_milli: 2000, pids: 64 },
            egress: Egress::Closed,
            doors: Vec::new(),
        }
    }

    /// Prepares and starts a script.
    pub(crate) async fn start(&mut self, script: &str) -> InstanceId {
        let workload = self.workload(script);
        self.start_workload(&workload).await
    }

    pub(crate) async fn start_workload(&self, workload: &Workload) -> InstanceId {
        self.driver.prepare(workload).await.unwrap();
        self.driver.start(workload).await.unwrap();
        workload.id
    }

    /// Runs a script to its end and returns what it wrote to standard output.
    pub(crate) async fn output(&mut self, script: &str) -> String {
        let id = self.start(script).await;
        let exit = self.exit(id).await;
        let text = self.text(id, "stdout").await;
        assert_eq!(exit.code, Some(0), "{exit:?}: {text} {}", self.text(id, "stderr").await);
        text
    }

    /// How it ends, once it does.
    pub(crate) async fn exit(&self, id: InstanceId) -> Exit {
        exit_of(&self.driver, id).await
    }

    pub(crate) async fn log(&self, id: InstanceId) -> Vec<LogLine> {
        let query = LogQuery { tail: 10_000, follow: false };
        self.driver.logs(id, query).map(Result::unwrap).collect().await
    }

    pub(crate) async fn text(&self, id: InstanceId, stream: &str) -> String {
        let lines = self.log(id).await;
        let texts: Vec<String> = lines.into_iter().filter(|line| line.stream == stream).map(|line| line.text).collect();
        texts.join("\n")
    }

    /// Waits until the program has written this line.
    pub(crate) async fn line(&self, id: InstanceId, text: &str) {
        let mut lines = self.driver.logs(id, LogQuery { tail: 10_000, follow: true });
        let found = async {
            while let Some(line) = lines.next().await {
                if line.unwrap().text == text {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("the line {text:?} did not come"));
    }

    /// Removes everything; to be called by tests that leave something running.
    pub(crate) async fn clean(self) {
        for id in &self.instances {
            self.driver.destroy(*id, DataPolicy::Delete).await.unwrap();
        }
        assert_eq!(self.driver.inventory().await.unwrap(), []);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A failed test leaves no process behind either.
        for id in &self.instances {
            let record = self.root.join(id.to_string()).join("run/shim.json");
            let text = std::fs::read(record).unwrap_or_default();
            if let Ok(record) = serde_json::from_slice::<reef_sandbox::RunRecord>(&text) {
                let _ = record.shim.kill();
            }
        }
    }
}

pub(crate) fn driver(root: PathBuf) -> ProcessDriver {
    let versions = root.with_file_name("versions");
    ProcessDriver::new(ProcessConfig { root, versions, shim: shim() })
}

pub(crate) async fn exit_of(driver: &dyn Driver, id: InstanceId) -> Exit {
    let mut events = driver.events();
    let ended = async {
        loop {
            if let ProcessState::Exited { exit } = driver.observe(id).await.unwrap().process {
                return exit;
            }
            events.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the program does not end")
}

pub(crate) fn secret(name: &str, value: &str) -> SecretFile {
    SecretFile { name: name.to_owned(), value: value.to_owned(), start_only: false }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
