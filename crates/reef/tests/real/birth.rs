//! Creating.

use crate::reef::Reef;

/// Both commands wait until their instance is ready, whoever dies meanwhile.
pub(crate) async fn two_at_once(reef: &Reef) {
    let create = async |name: &str| {
        let ended = reef.run(&["create", name]).await;
        assert!(ended.stdout.contains(&format!("{name} is ready")), "{ended:?}");
    };
    let same_name = async || {
        reef.until_instance("bob", |_| true).await;
        let refused = reef.try_run(&["create", "bob"]).await;
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("of this name exists"), "{refused:?}");
    };
    let kills = async || {
        same_name().await;
        reef.kill("__node").await;
        reef.until_instance("alice", |view| view["phase"] == "starting").await;
        reef.kill("__hub").await;
        reef.until_instance("bob", |view| view["phase"] == "starting").await;
        reef.kill("__node").await;
    };
    tokio::join!(create("alice"), create("bob"), kills());
    for name in ["alice", "bob"] {
        let view = reef.view(name).await;
        assert_eq!((&view["availability"], &view["gateway"]), (&"ready".into(), &"ok".into()), "{view}");
    }
}
