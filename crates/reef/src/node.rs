//! `reef __node`: the privileged side of this machine. The one place that names concrete drivers and installers.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use reef_driver_process::{ProcessConfig, ProcessDriver, ProcessTasks, ShimCommand};
use reef_node::{NodeConfig, Server};
use reef_openclaw::install::OpenClawInstaller;
use reef_sandbox::ids::HUB_HOST_UID;

use crate::{
    descriptors, logging,
    paths::Paths,
    runtime,
    signals::{self, Supervisor},
    tls,
};

/// Runs until it is told to stop. Instances stay.
pub(crate) fn run(data_dir: &Path, supervisor: Supervisor) -> anyhow::Result<()> {
    supervisor.stop_together()?;
    logging::init();
    descriptors::raise_limit();
    tls::init();
    let paths = Paths::create(data_dir).context("the data directory cannot be used")?;
    let runtime = runtime::server().context("the node cannot start its threads")?;
    runtime.block_on(serve(paths))
}

async fn serve(paths: Paths) -> anyhow::Result<()> {
    let stop = signals::stop_token()?;
    let shim = ShimCommand::this_program();
    let driver = ProcessDriver::new(ProcessConfig {
        root: paths.node.join("instances"),
        versions: reef_node::versions_dir(&paths.node),
        shim: shim.clone(),
    });
    let server = Server::new(NodeConfig {
        data_dir: paths.node.clone(),
        drivers: vec![Arc::new(driver)],
        installers: vec![Arc::new(OpenClawInstaller::new())],
        tasks: Arc::new(ProcessTasks::new(shim)),
        hub_uid: reef_sandbox::shim::runs_as_host_root().then_some(HUB_HOST_UID),
    })?;
    let listener = server.bind(&paths.node_socket())?;
    tracing::info!(socket = %paths.node_socket().display(), "node ready");
    server.serve(listener, stop).await;
    Ok(())
}
