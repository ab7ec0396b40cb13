//! The real thing: fetches Node and OpenClaw from the registry that this machine is configured for, installs both, and
//! starts what was installed. Needs network and about 1 GB of disk; takes about a minute.

use std::{path::Path, process::Command, time::Instant};

use parking_lot::Mutex;
use reef_driver::{VersionInstaller, version::InstallDirs};
use reef_openclaw::{install::OpenClawInstaller, version};
use reef_types::Progress;

#[path = "install/tasks.rs"]
mod tasks;

use tasks::PlainTasks;

async fn install(root: &Path, kind: &str, version: &str) -> Vec<Progress> {
    let (cache, store) = (root.join("cache"), root.join("store"));
    let staging = root.join("staging").join(kind);
    for dir in [&cache, &store.join(kind), &staging] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let seen = Mutex::new(Vec::new());
    let progress = |step: Progress| {
        let mut seen = seen.lock();
        // One of each step: the last one.
        seen.pop_if(|last: &mut Progress| last.step == step.step);
        seen.push(step);
    };
    let started = Instant::now();
    let dirs = InstallDirs { staging: &staging, cache: &cache, store: &store };
    let installer = OpenClawInstaller::new();
    installer.install(kind, version, dirs, &PlainTasks, &progress).await.unwrap();
    println!("{kind} {version}: {:.1} s", started.elapsed().as_secs_f64());
    std::fs::rename(&staging, store.join(kind).join(version)).unwrap();
    seen.into_inner()
}

#[tokio::test]
async fn node_and_openclaw() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let installer = OpenClawInstaller::new();
    let needs = installer.needs("openclaw", version::DEFAULT_VERSION).unwrap();
    let [(kind, node)] = &needs[..] else { panic!("{needs:?}") };

    let steps = install(dir.path(), kind, node).await;
    assert!(
        steps.iter().any(|step| step.unit == "bytes" && step.total > 40_000_000 && step.done == step.total),
        "{steps:?}"
    );
    let steps = install(dir.path(), "openclaw", version::DEFAULT_VERSION).await;
    assert!(steps.iter().any(|step| step.unit == "packages" && step.done > 300), "{steps:?}");

    let node = dir.path().join("store/node").join(node);
    let openclaw = dir.path().join("store/openclaw").join(version::DEFAULT_VERSION);
    let npm = Command::new(node.join("bin/npm")).arg("--version").env("PATH", node.join("bin")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&npm.stdout).trim(), version::runtime_by_node("24.21.0").unwrap().npm);
    let entry = openclaw.join("node_modules/openclaw/openclaw.mjs");
    let said = Command::new(node.join("bin/node")).arg(entry).arg("--version").env_clear().output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains(version::DEFAULT_VERSION), "{said:?}");
    let left: Vec<_> = std::fs::read_dir(&openclaw).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");

    // Again, with what the cache has: nothing is fetched twice.
    std::fs::rename(&openclaw, dir.path().join("first")).unwrap();
    install(dir.path(), "openclaw", version::DEFAULT_VERSION).await;
}
