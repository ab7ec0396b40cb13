//! Conversations over HTTP: streams that converge to the agent's history, and messages that run once.

use http::Method;
use proptest::prelude::*;
use reef_testkit::{Client, Event, Events, Settings, TestHub};
use reef_types::{
    InstanceId,
    chat::{ChatChange, ChatItem, ChatRole, ChatRun},
};
use serde_json::{Value, json};

const STREAM: &str = "/api/instances/scout/chat/main/stream";
const MESSAGES: &str = "/api/instances/scout/chat/main/messages";

fn id_of(view: &Value) -> InstanceId {
    view["id"].as_str().expect("an id").parse().expect("an id")
}

fn item(id: &str, role: ChatRole, text: &str, streaming: bool) -> ChatItem {
    ChatItem { id: id.to_owned(), role, text: text.to_owned(), streaming, tool: None, at: None }
}

/// What a page shows: the contract's rules for `snapshot` and `patch`, and nothing else.
#[derive(Debug, Default)]
struct Page {
    items: Vec<Value>,
    run: Value,
    away: bool,
}

impl Page {
    fn take(&mut self, event: &Event) {
        match event.name.as_str() {
            "snapshot" => {
                self.items = event.data["items"].as_array().expect("items").clone();
                self.run = event.data["run"].clone();
                self.away = false;
            }
            "patch" => {
                if let Some(item) = event.data.get("item") {
                    match self.items.iter_mut().find(|old| old["id"] == item["id"]) {
                        Some(old) => *old = item.clone(),
                        None => self.items.push(item.clone()),
                    }
                }
                if let Some(run) = event.data.get("run") {
                    self.run = run.clone();
                }
            }
            "unavailable" => self.away = true,
            other => assert_eq!(other, "ping"),
        }
    }

    fn texts(&self) -> Vec<(String, String)> {
        let text = |item: &Value, field: &str| item[field].as_str().expect("text").to_owned();
        self.items.iter().map(|item| (text(item, "role"), text(item, "text"))).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// Reads a stream until the page is as wanted.
async fn until(stream: &mut Events, page: &mut Page, wanted: impl Fn(&Page) -> bool) {
    while !wanted(page) {
        let event = stream.next().await.expect("the stream goes on");
        page.take(&event);
    }
}

fn history(hub: &TestHub, id: InstanceId) -> Vec<String> {
    hub.agent.history(id, "main").into_iter().map(|item| item.id).collect()
}

async fn send(client: &Client, text: &str, key: &str) -> reef_testkit::Answer {
    client.clone().with("idempotency-key", key).post(MESSAGES, json!({ "text": text })).await
}

#[tokio::test]
async fn a_message_and_its_answer_reach_every_listener() {
    let (hub, client) = TestHub::owned().await;
    let id = id_of(&hub.create(&client, "scout").await);
    let mut listeners =
        [(client.events(STREAM).await, Page::default()), (client.events(STREAM).await, Page::default())];
    for (stream, page) in &mut listeners {
        let first = stream.next().await.expect("an event");
        assert_eq!((first.name.as_str(), &first.data["items"]), ("snapshot", &json!([])));
        page.take(&first);
    }
    let answer = client.post(MESSAGES, json!({ "text": "hello" })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.json()["runId"].as_str().is_some_and(|run| !run.is_empty()));
    let expect = [("user".to_owned(), "hello".to_owned()), ("assistant".to_owned(), "you said: hello".to_owned())];
    for (stream, page) in &mut listeners {
        until(stream, page, |page| page.texts() == expect && page.ids() == history(&hub, id)).await;
        assert_eq!(page.run["phase"], "done");
    }
    // Who comes later sees the same.
    let mut late = Page::default();
    late.take(&client.events(STREAM).await.next().await.expect("an event"));
    assert_eq!(late.texts(), expect);
}

#[tokio::test]
async fn the_same_message_runs_once_and_shows_once() {
    let (hub, client) = TestHub::owned().await;
    let id = id_of(&hub.create(&client, "scout").await);
    let (mut stream, mut page) = (client.events(STREAM).await, Page::default());
    let first = send(&client, "hello", "key-1").await;
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id) && page.ids().len() == 2).await;
    for _ in 0..3 {
        let again = send(&client, "hello", "key-1").await;
        assert_eq!((again.status, again.json()), (202, first.json()));
    }
    let at_once = futures_util::future::join_all((0..4).map(|_| send(&client, "more", "key-2"))).await;
    assert!(at_once.iter().all(|answer| answer.status == 202), "{at_once:?}");
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id) && page.ids().len() >= 4).await;
    assert_eq!(history(&hub, id).len(), 4, "two turns");

    // Also when the hub was started again in between, and does not remember the key.
    let hub = hub.restart().await;
    let client = client.at(hub.addr);
    client.wait_for("/api/instances/scout/sessions", |answer| answer.status == 200).await;
    let (mut stream, mut page) = (client.events(STREAM).await, Page::default());
    assert_eq!(send(&client, "hello", "key-1").await.json(), first.json());
    until(&mut stream, &mut page, |page| !page.ids().is_empty()).await;
    assert_eq!(page.ids(), history(&hub, id));
    assert_eq!(send(&client, "last", "key-3").await.status, 202);
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id)).await;
    assert_eq!(page.ids().len(), 6);
}

#[tokio::test]
async fn a_hub_that_is_started_again_in_the_middle_of_an_answer_loses_nothing() {
    let (hub, client) = TestHub::owned().await;
    let id = id_of(&hub.create(&client, "scout").await);
    let (mut stream, mut page) = (client.events(STREAM).await, Page::default());
    until(&mut stream, &mut page, |_| true).await;
    stream.next().await.expect("the snapshot");
    let run = |phase: &str| ChatChange::Run(ChatRun { id: "r1".into(), phase: phase.into(), message: None });
    hub.agent.remember(id, "main", item("u1", ChatRole::User, "tell me", false));
    hub.agent.emit(id, "main", ChatChange::Reload);
    hub.agent.emit(id, "main", run("answering"));
    hub.agent.emit(id, "main", ChatChange::Item(item("r1-reply", ChatRole::Assistant, "Once upon", true)));
    until(&mut stream, &mut page, |page| page.items.iter().any(|item| item["text"] == "Once upon")).await;

    let hub = hub.crash().await;
    let client = client.at(hub.addr);
    stream.rest().await;
    client.wait_for("/api/instances/scout/sessions", |answer| answer.status == 200).await;
    let mut stream = client.events(STREAM).await;
    until(&mut stream, &mut page, |page| page.ids() == ["u1"]).await;
    hub.agent.emit(id, "main", ChatChange::Item(item("r1-reply", ChatRole::Assistant, "Once upon a time", true)));
    until(&mut stream, &mut page, |page| page.items.iter().any(|item| item["text"] == "Once upon a time")).await;
    hub.agent.remember(id, "main", item("r1-reply", ChatRole::Assistant, "Once upon a time.", false));
    hub.agent.emit(id, "main", run("done"));
    hub.agent.emit(id, "main", ChatChange::Reload);
    until(&mut stream, &mut page, |page| page.items.last().is_some_and(|item| item["text"] == "Once upon a time."))
        .await;
    assert_eq!(page.ids(), history(&hub, id));
}

#[tokio::test]
async fn an_agent_that_is_away_is_said_to_be_and_comes_back() {
    let (hub, client) = TestHub::owned().await;
    let id = id_of(&hub.create(&client, "scout").await);
    let (mut stream, mut page) = (client.events(STREAM).await, Page::default());
    assert_eq!(send(&client, "hello", "k").await.status, 202);
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id) && page.ids().len() == 2).await;

    // Lost and back.
    hub.agent.set_ready(false);
    hub.wait_for_phase(&client, "scout", "degraded").await;
    let refused = send(&client, "into the void", "k2").await;
    refused.assert_refused(503, "instance_unavailable");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|secs| secs > 0));
    hub.agent.remember(id, "main", item("other", ChatRole::User, "from elsewhere", false));
    hub.agent.set_ready(true);
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id) && page.ids().len() == 3).await;
    assert!(!page.texts().iter().any(|(_, text)| text == "into the void"), "{page:?}");

    // Stopped and started.
    assert_eq!(client.post("/api/instances/scout/stop?wait=done", json!({})).await.status, 200);
    until(&mut stream, &mut page, |page| page.away).await;
    client.get("/api/instances/scout/sessions").await.assert_refused(503, "instance_unavailable");
    hub.agent.remember(id, "main", item("later", ChatRole::User, "from elsewhere again", false));
    assert_eq!(client.post("/api/instances/scout/start?wait=ready", json!({})).await.status, 200);
    until(&mut stream, &mut page, |page| page.ids() == history(&hub, id) && page.ids().len() == 4).await;

    // Removed: there is nothing to wait for.
    assert_eq!(client.delete("/api/instances/scout?wait=done").await.status, 200);
    stream.rest().await;
}

#[tokio::test]
async fn a_listener_that_knows_the_cursor_is_not_sent_everything_again() {
    let (hub, client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    let snapshot = client.events(STREAM).await.next().await.expect("an event");
    let cursor = snapshot.data["cursor"].as_str().expect("a cursor");
    let mut again = client.events(&format!("{STREAM}?cursor={cursor}")).await;
    assert_eq!(send(&client, "hello", "k").await.status, 202);
    assert_ne!(again.next().await.expect("an event").data["cursor"], snapshot.data["cursor"]);
    let mut odd = client.events(&format!("{STREAM}?cursor=odd")).await;
    assert_eq!(odd.next().await.expect("an event").name, "snapshot");
}

#[tokio::test]
async fn messages_that_cannot_be() {
    let (hub, client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    for text in ["", "  \n", &"a".repeat(200_001)] {
        let answer = client.post(MESSAGES, json!({ "text": text })).await;
        answer.assert_refused(400, "invalid_request");
        assert_eq!(answer.json()["error"]["field"], "text");
    }
    let long = "k".repeat(129);
    for key in ["", "a b", "ä", long.as_str()] {
        let answer = send(&client, "hello", key).await;
        answer.assert_refused(400, "invalid_request");
        assert_eq!(answer.json()["error"]["field"], "Idempotency-Key", "{key}");
    }
    for session in ["a%2fb", "a%00b", &"s".repeat(201)] {
        let answer =
            client.post(&format!("/api/instances/scout/chat/{session}/messages"), json!({ "text": "x" })).await;
        answer.assert_refused(400, "invalid_request");
    }
    let answer = client.send(Method::POST, "/api/instances/scout/chat/main/abort", None).await;
    assert_eq!(answer.status, 204);
}

/// What may happen to a conversation, in any order.
#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Item(u8, usize),
    Run(&'static str),
    Reload,
    Lost,
    Listen,
    Remember(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..4).prop_map(Step::Send),
        3 => (0_u8..3, 1_usize..9).prop_map(|(n, len)| Step::Item(n, len)),
        2 => prop_oneof![Just("queued"), Just("answering"), Just("done"), Just("failed")].prop_map(Step::Run),
        2 => Just(Step::Reload),
        1 => Just(Step::Lost),
        1 => Just(Step::Listen),
        1 => (0_u8..3).prop_map(Step::Remember),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: once the turn is over, every page shows the agent's history and nothing else.
    #[test]
    fn every_order_of_events_ends_as_history(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let (hub, client) = TestHub::owned_with(Settings::default()).await;
            let id = id_of(&hub.create(&client, "scout").await);
            let mut listeners = vec![(client.events(STREAM).await, Page::default())];
            for (n, step) in steps.iter().enumerate() {
                match step {
                    Step::Send(key) => {
                        let answer = send(&client, &format!("message {key}"), &format!("key-{key}")).await;
                        assert!(matches!(answer.status, 202 | 503), "{answer:?}");
                    }
                    Step::Item(item_n, len) => {
                        let text = "abcdefgh".get(..*len).expect("short");
                        let live = item(&format!("live-{item_n}"), ChatRole::Assistant, text, true);
                        hub.agent.emit(id, "main", ChatChange::Item(live));
                    }
                    Step::Run(phase) => {
                        let run = ChatRun { id: "r1".into(), phase: (*phase).into(), message: None };
                        hub.agent.emit(id, "main", ChatChange::Run(run));
                    }
                    Step::Reload => hub.agent.emit(id, "main", ChatChange::Reload),
                    Step::Lost => {
                        hub.agent.set_ready(false);
                        hub.agent.set_ready(true);
                    }
                    Step::Listen => listeners.push((client.events(STREAM).await, Page::default())),
                    Step::Remember(item_n) => {
                        let id_of_item = format!("live-{item_n}");
                        if !history(&hub, id).contains(&id_of_item) {
                            hub.agent.remember(id, "main", item(&id_of_item, ChatRole::Assistant, &format!("{n}"), false));
                        }
                    }
                }
            }
            hub.agent.emit(id, "main", ChatChange::Run(ChatRun { id: "r1".into(), phase: "done".into(), message: None }));
            hub.agent.emit(id, "main", ChatChange::Reload);
            listeners.push((client.events(STREAM).await, Page::default()));
            let expect: Vec<Value> =
                hub.agent.history(id, "main").iter().map(|item| serde_json::to_value(item).expect("JSON")).collect();
            for (stream, page) in &mut listeners {
                let over = |run: &Value| run.is_null() || run["phase"] == "done";
                until(stream, page, |page| page.items == expect && over(&page.run)).await;
            }
        });
    }
}
