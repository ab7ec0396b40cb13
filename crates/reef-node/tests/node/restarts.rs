//! The node stops, restarts, and is started twice.

use futures_util::StreamExt;
use reef_driver::{
    DriverEvent, LogQuery, ProcessState, Reason,
    testkit::{Program, Verb},
};
use reef_node::{NodeError, Server};
use tokio::time::timeout;

use crate::fixture::{Node, PATIENCE, until, workload};

#[tokio::test]
async fn a_data_directory_has_one_node() {
    let mut node = Node::start();
    let err = Server::new(node.config()).unwrap_err();
    assert!(matches!(&err, NodeError::Locked { pid, .. } if *pid == std::process::id().to_string()), "{err}");
    node.client.hello().await.unwrap();
    node.stop().await;
    Server::new(node.config()).unwrap();
}

#[tokio::test]
async fn an_old_socket_is_replaced_and_anything_else_is_not() {
    let mut node = Node::start();
    node.stop().await;
    assert!(node.socket().exists());
    node.serve();
    node.client.hello().await.unwrap();
    node.stop().await;

    let file = node.dir.path().join("precious.txt");
    std::fs::write(&file, "precious").unwrap();
    let server = Server::new(node.config()).unwrap();
    assert!(matches!(server.bind(&file), Err(NodeError::Io { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn only_the_owner_may_open_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::start();
    let mode = std::fs::metadata(node.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_stopping_node_finishes_calls_ends_streams_and_leaves_instances() {
    let mut node = Node::start();
    let remote = node.remote();
    let stubborn = workload(&Program::Stubborn, &[]);
    let idle = workload(&Program::Idle, &[]);
    for workload in [&stubborn, &idle] {
        remote.prepare(workload).await.unwrap();
        remote.start(workload).await.unwrap();
    }
    node.driver.print(idle.id, "hello");
    let mut logs = remote.logs(idle.id, LogQuery { tail: 1, follow: true });
    assert_eq!(logs.next().await.unwrap().unwrap().text, "hello");
    let stop = tokio::spawn({
        let remote = node.remote();
        async move { remote.stop(stubborn.id, 500).await }
    });
    until("the stop has begun", async || node.driver.calls().iter().any(|call| call.verb == Verb::Stop)).await;
    node.begin_stop();
    stop.await.unwrap().unwrap();
    node.stop().await;
    let cut = timeout(PATIENCE, logs.next()).await.unwrap().unwrap().unwrap_err();
    assert_eq!(cut.reason, Reason::Unavailable);
    assert_eq!(remote.inventory().await.unwrap_err().reason, Reason::Unavailable);

    node.serve();
    let seen = remote.observe(idle.id).await.unwrap();
    assert!(matches!(seen.process, ProcessState::Running { .. }), "{seen:?}");
}

#[tokio::test]
async fn events_go_on_after_a_restart_and_say_that_something_was_missed() {
    let mut node = Node::start();
    let remote = node.remote();
    let mut events = remote.events();
    let mut next = async || timeout(PATIENCE, events.next()).await.expect("no event").unwrap();
    assert_eq!(next().await, DriverEvent::Resync);
    let one = workload(&Program::Idle, &[]);
    node.driver.send_event(DriverEvent::Changed { id: one.id });
    assert_eq!(next().await, DriverEvent::Changed { id: one.id });
    node.stop().await;
    node.driver.send_event(DriverEvent::Changed { id: one.id });
    node.serve();
    assert_eq!(next().await, DriverEvent::Resync);
    node.driver.send_event(DriverEvent::Changed { id: one.id });
    assert_eq!(next().await, DriverEvent::Changed { id: one.id });
}

#[tokio::test]
async fn doors_survive_a_restart_of_the_node() {
    let mut node = Node::start();
    let mut knock = workload(&Program::Idle, &[]);
    knock.doors = vec![7000];
    node.remote().prepare(&knock).await.unwrap();
    node.remote().start(&knock).await.unwrap();
    let address = |door| std::net::TcpListener::from(door).local_addr().unwrap();
    let before = address(node.remote().door(knock.id, 7000).await.unwrap());
    node.stop().await;
    node.serve();
    assert_eq!(address(node.remote().door(knock.id, 7000).await.unwrap()), before);
}
