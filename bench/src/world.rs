//! A node whose instances cost nothing: the real server with its real protocol, over a driver that runs nothing and
//! gateways that only keep the hub company. So the hub can be measured alone, and with many instances.

use std::{collections::HashMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_trait::async_trait;
use futures_util::StreamExt;
use reef_driver::{
    AgentKind, Driver, DriverError, DriverEvent, ProcessState, Reason, Task, TaskExit, TaskRunner, VersionInstaller,
    testkit::FakeDriver, version::InstallDirs,
};
use reef_node::{NodeConfig, Server};
use reef_openclaw::{
    OpenClaw,
    testing::{FakeGateway, Listening},
};
use reef_types::{InstanceId, Progress};
use tokio_util::sync::CancellationToken;

use crate::backend;

/// As often as the real gateway says that it is there.
const TICK: Duration = Duration::from_secs(30);
/// The secret file that holds the gateway's token.
const TOKEN_FILE: &str = "gateway-token";

/// The world around a hub; it lives on a thread of its own and ends with this value.
pub(crate) struct World {
    pub(crate) driver: FakeDriver,
    pub(crate) backend: SocketAddr,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    /// Serves the node's socket in the data directory of a hub.
    pub(crate) fn start(data_dir: &Path) -> Result<Self> {
        let driver = FakeDriver::new("process");
        let server = Server::new(NodeConfig {
            data_dir: data_dir.join("node"),
            drivers: vec![Arc::new(driver.clone())],
            installers: vec![Arc::new(NothingToInstall)],
            tasks: Arc::new(NothingToRun),
            hub_uid: reef_sandbox::shim::runs_as_host_root().then_some(reef_sandbox::ids::HUB_HOST_UID),
        })?;
        let ctl = data_dir.join("ctl");
        std::fs::create_dir_all(&ctl)?;
        let socket = ctl.join("node.sock");
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ready, started) = std::sync::mpsc::channel();
        let (theirs, stopped) = (driver.clone(), stop.clone());
        std::thread::Builder::new().name("world".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let begun = async { anyhow::Ok((backend::start().await?, server.bind(&socket)?)) };
                let (backend, listener) = match begun.await {
                    Ok(begun) => begun,
                    Err(err) => return drop(ready.send(Err(err))),
                };
                tokio::spawn(keep_company(theirs));
                let _ = ready.send(Ok(backend));
                server.serve(listener, stopped).await;
            });
        })?;
        let backend = started.recv().context("the node did not start")??;
        Ok(Self { driver, backend, stop })
    }

    /// From now on new connections to an instance's gateway reach the backend; those that the hub has are left.
    pub(crate) fn show_backend(&self, id: InstanceId) {
        self.driver.route(Some(id), OpenClaw.gateway_port(), self.backend);
    }
}

/// Gives every instance that is started a gateway.
async fn keep_company(driver: FakeDriver) {
    let mut gateways: HashMap<InstanceId, Listening> = HashMap::new();
    let mut events = driver.events();
    while let Some(event) = events.next().await {
        let DriverEvent::Changed { id } = event else { continue };
        let running =
            matches!(driver.observe(id).await, Ok(seen) if matches!(seen.process, ProcessState::Running { .. }));
        if !running {
            gateways.remove(&id);
        } else if !gateways.contains_key(&id)
            && let Some(token) = driver.secrets(id).into_iter().find(|secret| secret.name == TOKEN_FILE)
            && let Ok(gateway) = FakeGateway::with_token(token.value.into(), TICK).listen().await
        {
            driver.route(Some(id), OpenClaw.gateway_port(), gateway.address);
            gateways.insert(id, gateway);
        }
    }
}

struct NothingToInstall;

#[async_trait]
impl VersionInstaller for NothingToInstall {
    fn kinds(&self) -> &[&'static str] {
        &["node", "openclaw"]
    }

    async fn install(
        &self,
        _kind: &str,
        _version: &str,
        _dirs: InstallDirs<'_>,
        _tasks: &dyn TaskRunner,
        _progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DriverError> {
        Ok(())
    }

    fn needs(&self, _kind: &str, _version: &str) -> Result<Vec<(String, String)>, DriverError> {
        Ok(Vec::new())
    }
}

struct NothingToRun;

#[async_trait]
impl TaskRunner for NothingToRun {
    async fn run(
        &self,
        _task: Task,
        _on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError> {
        Err(DriverError::new(Reason::Internal, "a measured node runs no tasks"))
    }
}
