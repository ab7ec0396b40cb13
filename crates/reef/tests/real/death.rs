//! Removing, and the end of everything.

use std::path::PathBuf;

use crate::{reef::Reef, world};

/// No file, no process, no cgroup, no network.
pub(crate) async fn nothing_is_left(reef: &Reef) {
    let id = reef.view("alice").await["id"].as_str().unwrap().to_owned();
    let dir = reef.data_dir().join("node/instances").join(&id);
    let network = world::network_of(world::init_of(&dir).unwrap());
    let shim = world::shim_of(&dir).unwrap();
    assert!(world::network_is_used(network));

    let removed = reef.run(&["rm", "--yes", "alice"]).await;
    assert!(removed.stdout.contains("alice is gone"), "{removed:?}");
    assert_eq!(world::paths_with(reef.data_dir(), &id), Vec::<PathBuf>::new());
    assert_eq!(world::cgroups(&id), Vec::<PathBuf>::new());
    assert!(world::members(&id).is_empty());
    // The shim answers before it goes, and it is the last that holds the network.
    reef.until("the end of the shim", async || world::pids().all(|pid| pid != shim).then_some(())).await;
    reef.until("the end of the network", async || (!world::network_is_used(network)).then_some(())).await;
    let gone = reef.try_run(&["show", "alice"]).await;
    assert_eq!(gone.code, 3, "{gone:?}");

    // The other one is as it was.
    assert_eq!(reef.view("bob").await["availability"], "ready");
}

/// Told to stop its instances too, it leaves no process behind.
pub(crate) async fn nobody_is_left(mut reef: Reef) {
    let ids: Vec<String> = world::instance_dirs(reef.data_dir())
        .iter()
        .map(|dir| dir.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    for name in ["bob", "carol"] {
        reef.run(&["rm", "--yes", name]).await;
    }
    world::terminate(reef.supervisor_pid());
    reef.supervisor_ends().await;
    for id in ids {
        assert!(world::members(&id).is_empty());
    }
    for (pid, argv) in world::command_lines() {
        let home = reef.data_dir().display().to_string();
        assert!(!argv.iter().any(|arg| arg.contains(&home)), "{pid} is left: {argv:?}");
    }
}
