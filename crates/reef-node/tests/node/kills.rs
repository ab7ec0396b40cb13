//! The node is a process of its own here, and is killed with SIGKILL in the middle of things.

use std::{path::PathBuf, sync::Arc};

use futures_util::StreamExt;
use reef_driver::{
    InstallEvent, Reason, VersionStore,
    testkit::{Failure, FakeDriver, Program, Verb},
};
use reef_node::Server;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::fixture::{FakeInstaller, Node, config, outcome, until, workload};

const DIR_VARIABLE: &str = "REEF_TEST_NODE_DIR";

/// Not a test: what the tests below run as another process. Installations never end in it, nor does `observe`.
#[tokio::test]
#[ignore = "the child process of the tests in this file"]
async fn child() {
    let dir = PathBuf::from(std::env::var_os(DIR_VARIABLE).expect("run by the tests in this file"));
    let (driver, installer) = (FakeDriver::default(), Arc::new(FakeInstaller::default()));
    driver.fail(Failure::Hang { verb: Verb::Observe });
    installer.held.send_replace(true);
    let server = Server::new(config(dir.join("data"), driver, installer)).unwrap();
    let listener = server.bind(&dir.join("node.sock")).unwrap();
    server.serve(listener, CancellationToken::new()).await;
}

async fn node_process(node: &Node) -> Child {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--ignored", "--nocapture"])
        .env(DIR_VARIABLE, node.dir.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the node answers", async || node.client.hello().await.is_ok()).await;
    assert_eq!(node.client.hello().await.unwrap().pid, child.id().unwrap());
    child
}

#[tokio::test]
async fn killed_while_installing_the_next_node_installs() {
    let mut node = Node::not_started(FakeDriver::default());
    let mut process = node_process(&node).await;
    let mut events = node.client.install("tool", "1");
    until("the installer has begun", async || {
        matches!(events.next().await, Some(InstallEvent::Progress { progress }) if progress.step == "Downloading")
    })
    .await;
    assert_eq!(node.staging().len(), 1);
    process.kill().await.unwrap();
    assert_eq!(outcome(events).await.unwrap_err().reason, Reason::Unavailable);
    assert_eq!(node.staging().len(), 1);

    node.serve();
    assert!(node.staging().is_empty());
    assert!(node.client.versions().await.unwrap().is_empty());
    outcome(node.client.install("tool", "1")).await.unwrap();
}

#[tokio::test]
async fn killed_in_a_call_the_hub_is_told_at_once_and_goes_on_with_the_next_node() {
    let mut node = Node::not_started(FakeDriver::default());
    let mut process = node_process(&node).await;
    let known = workload(&Program::Idle, &[]);
    let remote = node.remote();
    let mut call = tokio::spawn(async move { remote.observe(known.id).await });
    // Answered calls behind it show that it has arrived.
    node.remote().inventory().await.unwrap();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), &mut call).await.is_err(), "observe hangs");
    process.kill().await.unwrap();
    assert_eq!(call.await.unwrap().unwrap_err().reason, Reason::Unavailable);
    assert_eq!(node.remote().prepare(&known).await.unwrap_err().reason, Reason::Unavailable);

    node.serve();
    node.remote().prepare(&known).await.unwrap();
}
