//! Stop, start, restart.

use crate::{
    reef::Reef,
    talk::{conversation, texts},
    world,
};

/// What it knew before, it knows afterwards; while it is stopped, nothing of it runs.
pub(crate) async fn stop_and_start(reef: &Reef) {
    let id = reef.view("bob").await["id"].as_str().unwrap().to_owned();
    let known = texts(&conversation(&reef.api, "bob", "other").await);
    for _ in 0..2 {
        // The second time there is nothing to do, and that is no failure.
        reef.run(&["stop", "bob"]).await;
        assert_eq!(reef.view("bob").await["availability"], "stopped");
    }
    assert!(world::members(&id).is_empty());
    assert_eq!(world::cgroups(&id), Vec::<std::path::PathBuf>::new());
    let refused = reef.try_run(&["chat", "bob", "hello"]).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("reef start bob"), "{refused:?}");

    reef.run(&["start", "bob"]).await;
    let running = world::members(&id);
    reef.run(&["start", "bob"]).await;
    assert!(running.is_subset(&world::members(&id)) && !running.is_empty(), "it was left alone");
    reef.run(&["restart", "bob"]).await;
    assert!(world::members(&id).is_disjoint(&running));
    assert_eq!(texts(&conversation(&reef.api, "bob", "other").await), known);
}
