//! A node in a folder of its own, and an installer that does as it is told.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use reef_driver::{
    Driver, DriverError, InstallEvent, Reason, Task, TaskExit, TaskRunner, VersionInfo, VersionInstaller, Workload,
    testkit::{FakeDriver, Program},
    version::InstallDirs,
};
use reef_node::{NodeClient, NodeConfig, Server};
use reef_types::{InstanceId, Progress};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) driver: FakeDriver,
    pub(crate) installer: Arc<FakeInstaller>,
    pub(crate) client: NodeClient,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with(FakeDriver::default())
    }

    pub(crate) fn with(driver: FakeDriver) -> Self {
        let mut node = Self::not_started(driver);
        node.serve();
        node
    }

    pub(crate) fn not_started(driver: FakeDriver) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let client = NodeClient::new(dir.path().join("node.sock"));
        Self { dir, driver, installer: Arc::default(), client, running: None }
    }

    pub(crate) fn config(&self) -> NodeConfig {
        config(self.data_dir(), self.driver.clone(), self.installer.clone())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("node.sock")
    }

    pub(crate) fn serve(&mut self) {
        let server = Server::new(self.config()).unwrap();
        let listener = server.bind(&self.socket()).unwrap();
        let shutdown = CancellationToken::new();
        self.running = Some((shutdown.clone(), tokio::spawn(server.serve(listener, shutdown))));
    }

    /// Tells the node to stop, without waiting.
    pub(crate) fn begin_stop(&self) {
        self.running.as_ref().expect("the node runs").0.cancel();
    }

    /// Stops the node and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        let (shutdown, served) = self.running.take().expect("the node runs");
        shutdown.cancel();
        timeout(PATIENCE, served).await.expect("the node does not stop").unwrap();
    }

    pub(crate) fn remote(&self) -> Arc<dyn Driver> {
        self.client.driver("fake")
    }

    /// Names in the staging area of the version store.
    pub(crate) fn staging(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data_dir().join("versions/.staging")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

pub(crate) fn config(data_dir: PathBuf, driver: FakeDriver, installer: Arc<FakeInstaller>) -> NodeConfig {
    NodeConfig {
        data_dir,
        drivers: vec![Arc::new(driver)],
        installers: vec![installer],
        tasks: Arc::new(NoTasks),
        hub_uid: None,
    }
}

pub(crate) fn workload(program: &Program, versions: &[(&str, &str)]) -> Workload {
    serde_json::from_value(serde_json::json!({
        "id": InstanceId::new(), "name": "scout", "generation": 1, "argv": program.fake_argv(),
        "env": BTreeMap::<String, String>::new(), "cwd": "/", "versions": versions, "files": [], "secrets": [],
        "resources": reef_types::Resources::default(), "egress": "closed", "doors": [],
    }))
    .unwrap()
}

struct NoTasks;

#[async_trait]
impl TaskRunner for NoTasks {
    async fn run(
        &self,
        _task: Task,
        _on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError> {
        Err(DriverError::new(Reason::Internal, "no test runs a task"))
    }
}

/// Installs `tool`, which needs `runtime 1`.
pub(crate) struct FakeInstaller {
    /// Every run that was begun, as `<kind> <version>`.
    pub(crate) begun: Mutex<Vec<String>>,
    pub(crate) bad_day: Mutex<Option<BadDay>>,
    /// While true, installations stay in their first step.
    pub(crate) held: watch::Sender<bool>,
}

#[derive(Debug, Clone)]
pub(crate) enum BadDay {
    /// Fails after it has written some.
    Fails(DriverError),
    /// Leaves a socket in the tree.
    SpecialFile,
    Panics,
}

impl Default for FakeInstaller {
    fn default() -> Self {
        Self { begun: Mutex::default(), bad_day: Mutex::default(), held: watch::channel(false).0 }
    }
}

#[async_trait]
impl VersionInstaller for FakeInstaller {
    fn kinds(&self) -> &[&'static str] {
        &["tool", "runtime"]
    }

    async fn install(
        &self,
        kind: &str,
        version: &str,
        dirs: InstallDirs<'_>,
        _tasks: &dyn TaskRunner,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DriverError> {
        self.begun.lock().push(format!("{kind} {version}"));
        assert!(fs::read_dir(dirs.staging).unwrap().next().is_none(), "staging is not empty");
        if kind == "tool" {
            assert!(dirs.store.join("runtime/1/bin/run").exists(), "the need is not there");
        }
        fs::write(dirs.cache.join(kind), "fetched").unwrap();
        let bin = dirs.staging.join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(bin.join("run"), fs::Permissions::from_mode(0o4777)).unwrap();
        fs::write(dirs.staging.join("data.txt"), "12345").unwrap();
        fs::write(dirs.staging.join(".reef-version.json"), "a lie").unwrap();
        symlink("/etc/passwd", dirs.staging.join("link")).unwrap();
        progress(Progress::step("Downloading"));
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        let bad_day = self.bad_day.lock().clone();
        match bad_day {
            Some(BadDay::Fails(error)) => Err(error),
            Some(BadDay::SpecialFile) => {
                drop(std::os::unix::net::UnixListener::bind(bin.join("sock")).unwrap());
                Ok(())
            }
            Some(BadDay::Panics) => panic!("the installer panics, as this test wants"),
            None => Ok(()),
        }
    }

    fn needs(&self, kind: &str, _version: &str) -> Result<Vec<(String, String)>, DriverError> {
        let runtime = ("runtime".to_owned(), "1".to_owned());
        Ok(if kind == "tool" { vec![runtime] } else { Vec::new() })
    }
}

/// Reads an installation to its end.
pub(crate) async fn outcome(
    mut events: futures_util::stream::BoxStream<'static, InstallEvent>,
) -> Result<VersionInfo, DriverError> {
    use futures_util::StreamExt;
    let last = async {
        loop {
            match events.next().await.expect("the stream ended without a last event") {
                InstallEvent::Progress { .. } => {}
                InstallEvent::Done { info } => return Ok(info),
                InstallEvent::Failed { error } => return Err(error),
            }
        }
    };
    timeout(PATIENCE, last).await.expect("the installation does not end")
}

/// Asks again until it is so.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("waited for: {what}"));
}
