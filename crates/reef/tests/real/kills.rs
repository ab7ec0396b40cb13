//! kill -9, of every process there is. An instance must not notice when it is not the one that was hit, and must come back
//! when it is; what was said is said once and kept.

use std::collections::BTreeMap;

use crate::{
    reef::Reef,
    talk::{Answering, conversation, texts},
    world,
};

/// The agents' processes: those that must be the same afterwards.
async fn gateways(reef: &Reef) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for dir in world::instance_dirs(reef.data_dir()) {
        let gateway = reef.until("a gateway", async || world::gateway_of(&dir)).await;
        found.insert(dir.display().to_string(), gateway);
    }
    assert_eq!(found.len(), 2);
    found
}

pub(crate) async fn hub_and_node(reef: &Reef) {
    let before = gateways(reef).await;
    for server in ["__hub", "__node"] {
        reef.kill(server).await;
        for name in ["alice", "bob"] {
            reef.until_ready(name).await;
            assert!(reef.run(&["chat", name, "still there?"]).await.stdout.contains("still there?"));
        }
    }
    assert_eq!(gateways(reef).await, before);
}

pub(crate) async fn hub_in_mid_answer(reef: &Reef) {
    let before = gateways(reef).await;
    let (alice, bob) =
        tokio::join!(Answering::begin(reef, "alice", "killed", 300), Answering::begin(reef, "bob", "killed", 300));
    reef.kill("__hub").await;
    tokio::join!(alice.complete(reef), bob.complete(reef));
    assert_eq!(gateways(reef).await, before);
    assert_kept(reef, "alice", "killed", 300).await;
}

/// `reef down` and `reef up`, as in an upgrade.
pub(crate) async fn restart_in_mid_answer(reef: &mut Reef) {
    let before = gateways(reef).await;
    let answer = Answering::begin(reef, "alice", "restarted", 300).await;
    reef.run(&["down"]).await;
    reef.supervisor_ends().await;
    assert_eq!(servers(reef), Vec::<u32>::new());
    // What was used until the end is counted too.
    assert!(!reef.log().contains("usage record was lost"), "{}", reef.log());
    reef.up_again().await;
    answer.complete(reef).await;
    assert_eq!(gateways(reef).await, before);
    assert_kept(reef, "alice", "restarted", 300).await;
}

/// Its servers go with it, the instances stay, and the next one finds them.
pub(crate) async fn supervisor(reef: &mut Reef) {
    let before = gateways(reef).await;
    world::kill(reef.supervisor_pid());
    reef.supervisor_ends().await;
    reef.until("the end of hub and node", async || servers(reef).is_empty().then_some(())).await;
    assert_eq!(gateways(reef).await, before);
    reef.up_again().await;
    for name in ["alice", "bob"] {
        reef.until_ready(name).await;
    }
    assert_eq!(gateways(reef).await, before);
    assert_kept(reef, "alice", "killed", 300).await;
}

fn servers(reef: &Reef) -> Vec<u32> {
    ["__hub", "__node"].into_iter().filter_map(|server| reef.find_pid(server)).collect()
}

/// Each is started again, in a sandbox that shares nothing with the old one; nobody is left over.
pub(crate) async fn gateway_and_shim(reef: &Reef) {
    let answer = Answering::begin(reef, "alice", "cut", 100).await;
    let mut old = BTreeMap::new();
    for name in ["alice", "bob"] {
        let view = reef.view(name).await;
        let id = view["id"].as_str().unwrap().to_owned();
        let dir = reef.data_dir().join("node/instances").join(&id);
        old.insert(id.clone(), world::members(&id));
        world::kill(if name == "alice" { world::gateway_of(&dir) } else { world::shim_of(&dir) }.unwrap());
    }
    let away = |name| reef.until_instance(name, |view| view["availability"] != "ready");
    tokio::join!(away("alice"), away("bob"));
    tokio::join!(reef.until_ready("alice"), reef.until_ready("bob"));
    for (id, members) in old {
        let now = world::members(&id);
        assert!(!now.is_empty());
        assert_eq!(now.intersection(&members).collect::<Vec<_>>(), Vec::<&u32>::new(), "orphans of {id}");
    }

    // Whoever waited for the answer gets all of it, or is told why not.
    let ended = answer.end(reef).await;
    match ended.code {
        0 => assert!(ended.stdout.ends_with("word100\n"), "{ended:?}"),
        _ => assert!(!ended.stderr.is_empty(), "{ended:?}"),
    }
    assert_eq!(texts(&conversation(&reef.api, "alice", "cut").await)[0], ("user".to_owned(), "long:100".to_owned()));
    assert_kept(reef, "alice", "killed", 300).await;
    for name in ["alice", "bob"] {
        assert!(reef.run(&["chat", name, "back again?"]).await.stdout.contains("back again?"));
    }
}

/// The question once, the answer once and whole.
async fn assert_kept(reef: &Reef, name: &str, session: &str, words: usize) {
    let said = texts(&conversation(&reef.api, name, session).await);
    let roles: Vec<&str> = said.iter().map(|(role, _)| role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant"], "{said:?}");
    let all: Vec<String> = (1..=words).map(|n| format!("word{n}")).collect();
    assert_eq!(said[1].1.split_whitespace().collect::<Vec<_>>(), all);
}
