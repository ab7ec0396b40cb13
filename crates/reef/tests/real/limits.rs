//! Limits that hold for all processes of an instance together.

use std::process::Stdio;

use crate::{reef::Reef, talk::inside, world};

/// Together more than the limit, each smaller than the agent itself.
const HOGS: &str = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do \
    perl -e '$x = \"x\" x 160000000; sleep 5' & done; wait";
/// Without this, the kernel takes the commands of an agent first.
const NOT_FIRST: &str = "echo 0 > /proc/self/oom_score_adj";

/// The memory limit ends what went over it, not its neighbours; when that is the agent, it says why and comes back.
pub(crate) async fn memory(reef: &Reef) {
    let view = reef.view("bob").await;
    let limits = view["resources"]["enforced"].as_array().unwrap();
    let memory = limits.iter().find(|limit| limit["limit"] == "memory").expect("memory is spoken of");
    if memory["enforced"] != true {
        // This host cannot, and says why: there is nothing more to promise.
        assert!(memory["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{view}");
        return;
    }
    let gateway = |view: &serde_json::Value| {
        let dir = reef.data_dir().join("node/instances").join(view["id"].as_str().unwrap());
        world::gateway_of(&dir).expect("a gateway")
    };
    let (before, id) = (gateway(&view), view["id"].as_str().unwrap());
    // Whether the agent waits for its commands or leaves them to themselves is its own affair.
    reef.run(&["chat", "bob", "--session", "hogs", &format!("tool:{HOGS}")]).await;
    reef.until("the limit", async || (world::memory_kills(id) > 0).then_some(())).await;
    reef.until("the end of the hogs", async || world::members_running(id, "perl").is_empty().then_some(())).await;
    assert_eq!(gateway(&reef.view("bob").await), before, "the commands went, the agent stayed");

    let hogs = format!("tool:{NOT_FIRST}; {HOGS}");
    let doomed = reef.spawn(&["chat", "bob", "--session", "doomed", &hogs], Stdio::null());
    let out_of_memory = |view: &serde_json::Value| {
        let conditions = view["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["reason"] == "out_of_memory")
    };
    reef.until_instance("bob", out_of_memory).await;
    assert_eq!(reef.view("alice").await["availability"], "ready");
    reef.until_ready("bob").await;
    // What becomes of the question is another chapter's; here it must only end.
    reef.ended(doomed).await;
    assert_eq!(inside(reef, "bob", "echo back").await, "back");
}
