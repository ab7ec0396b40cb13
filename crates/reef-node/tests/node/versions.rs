//! The version store over the socket: complete or absent, shared, claimed, and clean after every bad day.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use futures_util::StreamExt;
use reef_driver::{
    DataPolicy, DriverError, InstallEvent, Reason, VersionStore,
    testkit::{Failure, Program, Verb},
};
use reef_node::Server;
use tokio::time::timeout;

use crate::fixture::{BadDay, Node, PATIENCE, outcome, until, workload};

async fn installed(node: &Node) -> Vec<String> {
    let versions = node.client.versions().await.unwrap();
    versions.into_iter().map(|info| format!("{} {}", info.kind, info.version)).collect()
}

async fn next(events: &mut futures_util::stream::BoxStream<'static, InstallEvent>) -> InstallEvent {
    timeout(PATIENCE, events.next()).await.expect("no event").expect("the stream ended")
}

/// Reads on until the installer itself has begun.
async fn until_downloading(events: &mut futures_util::stream::BoxStream<'static, InstallEvent>) {
    loop {
        match next(events).await {
            InstallEvent::Progress { progress } if progress.step == "Downloading" => return,
            InstallEvent::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_version_appears_whole_read_only_and_after_its_needs() {
    let node = Node::start();
    let info = outcome(node.client.install("tool", "2.0.0-rc.1")).await.unwrap();
    assert_eq!(info.needs, [("runtime".to_owned(), "1".to_owned())]);
    assert!(info.installed_at.ends_with('Z') && info.size_bytes >= 15, "{info:?}");
    assert_eq!(installed(&node).await, ["runtime 1", "tool 2.0.0-rc.1"]);
    assert_eq!(*node.installer.begun.lock(), ["runtime 1", "tool 2.0.0-rc.1"]);
    let dir = node.data_dir().join("versions/tool/2.0.0-rc.1");
    for (path, mode) in
        [("", 0o555), ("bin", 0o555), ("bin/run", 0o555), ("data.txt", 0o444), (".reef-version.json", 0o444)]
    {
        let found = fs::symlink_metadata(dir.join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
        assert_eq!(found.uid(), fs::metadata("/proc/self").unwrap().uid(), "{path}");
    }
    assert_eq!(fs::read_link(dir.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert!(node.staging().is_empty());

    let again = outcome(node.client.install("tool", "2.0.0-rc.1")).await.unwrap();
    assert_eq!(again, info);
    assert_eq!(node.installer.begun.lock().len(), 2);
}

#[tokio::test]
async fn watchers_share_one_installation_until_the_last_one_leaves() {
    let node = Node::start();
    node.installer.held.send_replace(true);
    let mut first = node.client.install("runtime", "1");
    until_downloading(&mut first).await;
    let mut second = node.client.install("runtime", "1");
    until_downloading(&mut second).await;
    drop(first);
    node.installer.held.send_replace(false);
    outcome(second).await.unwrap();
    assert_eq!(node.installer.begun.lock().len(), 1);
}

#[tokio::test]
async fn an_installation_that_nobody_watches_is_cancelled_and_the_next_one_works() {
    let node = Node::start();
    node.installer.held.send_replace(true);
    let mut only = node.client.install("tool", "1");
    until_downloading(&mut only).await;
    assert_eq!(node.staging().len(), 1);
    drop(only);
    until("the staging area is empty", async || node.staging().is_empty()).await;
    assert!(installed(&node).await.is_empty());
    // What was fetched is kept for the next one.
    assert!(node.data_dir().join("cache/runtime").exists());
    node.installer.held.send_replace(false);
    outcome(node.client.install("tool", "1")).await.unwrap();
    assert_eq!(installed(&node).await, ["runtime 1", "tool 1"]);
}

#[tokio::test]
async fn every_failure_is_told_and_leaves_nothing() {
    let node = Node::start();
    let full = DriverError::new(Reason::Exhausted, "no space left on device");
    let bad_days = [
        (BadDay::Fails(full), Reason::Exhausted),
        (BadDay::SpecialFile, Reason::Integrity),
        (BadDay::Panics, Reason::Internal),
    ];
    for (bad_day, reason) in bad_days {
        *node.installer.bad_day.lock() = Some(bad_day.clone());
        for version in ["1", "2"] {
            let err = outcome(node.client.install("runtime", version)).await.unwrap_err();
            assert_eq!(err.reason, reason, "{bad_day:?}: {err}");
        }
        until("the staging area is empty", async || node.staging().is_empty()).await;
        assert!(installed(&node).await.is_empty());
    }
    *node.installer.bad_day.lock() = None;
    outcome(node.client.install("tool", "1")).await.unwrap();
}

#[tokio::test]
async fn a_need_that_fails_fails_what_needs_it() {
    let node = Node::start();
    let offline = DriverError::new(Reason::Network, "no network");
    *node.installer.bad_day.lock() = Some(BadDay::Fails(offline.clone()));
    assert_eq!(outcome(node.client.install("tool", "1")).await.unwrap_err(), offline);
    assert_eq!(*node.installer.begun.lock(), ["runtime 1"]);
}

#[tokio::test]
async fn names_are_checked_before_anything_else() {
    let node = Node::start();
    for (kind, version) in [("tool", "../x"), ("tool", ".."), ("..", "1"), ("tool", "a/b"), (".staging", "1"), ("", "")]
    {
        assert_eq!(outcome(node.client.install(kind, version)).await.unwrap_err().reason, Reason::Invalid);
        assert_eq!(node.client.remove(kind, version).await.unwrap_err().reason, Reason::Invalid);
        let bad = workload(&Program::Idle, &[(kind, version)]);
        assert_eq!(node.remote().prepare(&bad).await.unwrap_err().reason, Reason::Invalid);
    }
    assert_eq!(outcome(node.client.install("unknown", "1")).await.unwrap_err().reason, Reason::NotFound);
    assert!(node.driver.calls().iter().all(|call| call.verb != Verb::Prepare));
}

#[tokio::test]
async fn a_version_in_use_stays_until_its_last_user_is_gone() {
    let mut node = Node::start();
    outcome(node.client.install("tool", "1")).await.unwrap();
    let remote = node.remote();
    let user = workload(&Program::Idle, &[("tool", "1"), ("runtime", "1")]);
    remote.prepare(&user).await.unwrap();
    remote.start(&user).await.unwrap();
    for _ in 0..2 {
        let err = node.client.remove("tool", "1").await.unwrap_err();
        assert_eq!(err.reason, Reason::Conflict);
        assert!(err.message.contains(&user.id.to_string()), "{err}");
        // Claims are kept on disk.
        node.stop().await;
        node.serve();
    }
    remote.destroy(user.id, DataPolicy::Keep).await.unwrap();
    let err = node.client.remove("runtime", "1").await.unwrap_err();
    assert!(err.reason == Reason::Conflict && err.message.contains("tool 1"), "{err}");
    node.client.remove("tool", "1").await.unwrap();
    node.client.remove("runtime", "1").await.unwrap();
    assert_eq!(node.client.remove("tool", "1").await.unwrap_err().reason, Reason::NotFound);
    assert!(installed(&node).await.is_empty() && node.staging().is_empty());
    outcome(node.client.install("tool", "1")).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_holds_both_versions_until_the_new_one_runs() {
    let node = Node::start();
    outcome(node.client.install("runtime", "1")).await.unwrap();
    outcome(node.client.install("runtime", "2")).await.unwrap();
    let remote = node.remote();
    let mut user = workload(&Program::Idle, &[("runtime", "1")]);
    remote.prepare(&user).await.unwrap();
    remote.start(&user).await.unwrap();
    user.versions = vec![("runtime".to_owned(), "2".to_owned())];
    user.generation = 2;
    remote.prepare(&user).await.unwrap();
    remote.start(&user).await.unwrap();
    for version in ["1", "2"] {
        assert_eq!(node.client.remove("runtime", version).await.unwrap_err().reason, Reason::Conflict, "{version}");
    }
    remote.stop(user.id, 0).await.unwrap();
    remote.start(&user).await.unwrap();
    node.client.remove("runtime", "1").await.unwrap();
    assert_eq!(node.client.remove("runtime", "2").await.unwrap_err().reason, Reason::Conflict);
}

#[tokio::test]
async fn a_workload_without_its_version_is_not_made() {
    let node = Node::start();
    let early = workload(&Program::Idle, &[("runtime", "1")]);
    let err = node.remote().prepare(&early).await.unwrap_err();
    assert_eq!(err.reason, Reason::VersionMissing);
    assert!(node.driver.calls().iter().all(|call| call.verb != Verb::Prepare));
}

#[tokio::test]
async fn claims_of_what_does_not_exist_are_given_up() {
    let mut node = Node::start();
    outcome(node.client.install("runtime", "1")).await.unwrap();
    let user = workload(&Program::Idle, &[("runtime", "1")]);
    let error = DriverError::new(Reason::Exhausted, "full");
    node.driver.fail_times(Failure::Refuse { verb: Verb::Prepare, error }, 1);
    node.remote().prepare(&user).await.unwrap_err();
    assert_eq!(fs::read_dir(node.data_dir().join("uses")).unwrap().count(), 0);

    node.remote().prepare(&user).await.unwrap();
    assert_eq!(node.client.remove("runtime", "1").await.unwrap_err().reason, Reason::Conflict);
    node.stop().await;
    // As if the node had been killed between removing the instance and giving up its claim.
    reef_driver::Driver::destroy(&node.driver, user.id, DataPolicy::Delete).await.unwrap();
    node.serve();
    until("the claim is gone", async || node.client.remove("runtime", "1").await.is_ok()).await;
}

#[tokio::test]
async fn what_a_killed_node_left_half_done_is_cleared_and_works_again() {
    let mut node = Node::start();
    outcome(node.client.install("runtime", "1")).await.unwrap();
    node.stop().await;
    let versions = node.data_dir().join("versions");
    let half = versions.join(".staging/tool-1-0/deep");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("file"), "x").unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o555)).unwrap();
    // A version whose metadata was lost is not one.
    fs::create_dir_all(versions.join("tool/1/bin")).unwrap();
    drop(Server::new(node.config()).unwrap());
    assert!(node.staging().is_empty());
    node.serve();
    assert_eq!(installed(&node).await, ["runtime 1"]);
    outcome(node.client.install("tool", "1")).await.unwrap();
    assert_eq!(installed(&node).await, ["runtime 1", "tool 1"]);
    assert!(node.staging().is_empty());
}

#[tokio::test]
async fn a_stopping_node_ends_installations_and_cleans_up() {
    let mut node = Node::start();
    node.installer.held.send_replace(true);
    let mut events = node.client.install("runtime", "1");
    until_downloading(&mut events).await;
    node.stop().await;
    assert_eq!(outcome(events).await.unwrap_err().reason, Reason::Unavailable);
    assert!(node.staging().is_empty());
}

#[tokio::test]
async fn nothing_is_removed_while_something_is_installed() {
    let node = Node::start();
    outcome(node.client.install("runtime", "1")).await.unwrap();
    node.installer.held.send_replace(true);
    let mut events = node.client.install("runtime", "2");
    until_downloading(&mut events).await;
    assert_eq!(node.client.remove("runtime", "1").await.unwrap_err().reason, Reason::Conflict);
    node.installer.held.send_replace(false);
    outcome(events).await.unwrap();
    node.client.remove("runtime", "1").await.unwrap();
}
