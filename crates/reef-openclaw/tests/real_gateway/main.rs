//! The link and the handshake against the real OpenClaw.
//!
//! Needs `REEF_TEST_VERSIONS`: a folder with `node/<version>/bin/node` and
//! `openclaw/<version>/node_modules/openclaw/openclaw.mjs`. A start takes seconds of cpu, so there is one gateway and one
//! test that goes through it.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use reef_driver::{AgentCredential, AgentKind, AgentLink, BoxIo, Dial, DriverError, LinkState, Reason};
use reef_openclaw::{
    OpenClaw,
    credential::Credential,
    link::{GatewayLink, Suspension},
};
use reef_types::{
    InstanceId,
    chat::{ChatChange, ChatEvent, ChatItem, ChatRole},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{broadcast, watch},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

mod gateway;
mod model;

use gateway::RealGateway;

/// Limit for a start or restart on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(180);

/// Limit for a turn; the first one of a process takes seconds.
const TURN_PATIENCE: Duration = Duration::from_secs(90);

/// Connects to a port of this machine, as a driver would to an instance's.
struct ToPort(u16);

#[async_trait::async_trait]
impl Dial for ToPort {
    async fn dial(&self, _id: InstanceId, _port: u16) -> Result<BoxIo, DriverError> {
        match TcpStream::connect(("127.0.0.1", self.0)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(err) => Err(DriverError::new(Reason::Unavailable, err.kind().to_string())),
        }
    }
}

struct Watched {
    link: GatewayLink,
    state: watch::Receiver<LinkState>,
    events: broadcast::Receiver<ChatEvent>,
}

impl Watched {
    fn start(credential: &AgentCredential, port: u16) -> Self {
        let link = GatewayLink::start(InstanceId::new(), credential, Arc::new(ToPort(port)));
        Self { state: link.state(), events: link.events(), link }
    }

    async fn until_ready(&mut self) {
        let ready = timeout(START_PATIENCE, self.state.wait_for(|state| *state == LinkState::Ready)).await.is_ok();
        assert!(ready, "{:?}", self.state.borrow());
    }

    async fn until_lost(&mut self) {
        let lost = self.state.wait_for(|state| matches!(state, LinkState::Connecting { .. }));
        assert!(timeout(START_PATIENCE, lost).await.is_ok());
    }

    async fn next(&mut self) -> ChatChange {
        timeout(TURN_PATIENCE, self.events.recv()).await.expect("an event comes").unwrap().change
    }

    async fn until_item(&mut self, wanted: impl Fn(&ChatItem) -> bool) {
        while !matches!(self.next().await, ChatChange::Item(item) if wanted(&item)) {}
    }

    /// Sends and follows the turn to its reload; returns its last phase, the items as shown live, and the history.
    async fn turn(&mut self, text: &str, key: &str) -> (String, Vec<ChatItem>, Vec<ChatItem>) {
        assert_eq!(self.link.send("main", text, key).await, Ok(key.to_owned()));
        self.follow().await
    }

    async fn follow(&mut self) -> (String, Vec<ChatItem>, Vec<ChatItem>) {
        let (mut phase, mut live) = (String::new(), Vec::<ChatItem>::new());
        loop {
            match self.next().await {
                ChatChange::Item(item) => match live.iter_mut().find(|known| known.id == item.id) {
                    Some(known) => *known = item,
                    None => live.push(item),
                },
                ChatChange::Run(run) => phase = run.phase,
                ChatChange::Reload if ["done", "failed", "aborted"].contains(&phase.as_str()) => break,
                ChatChange::Reload => {}
            }
        }
        (phase, live, self.link.history("main", 100).await.unwrap())
    }
}

fn words(items: &[ChatItem]) -> Vec<(&str, ChatRole, &str)> {
    items.iter().map(|item| (item.id.as_str(), item.role, item.text.as_str())).collect()
}

/// The history's end must be what was shown live, ids included.
fn assert_shown(live: &[ChatItem], history: &[ChatItem]) {
    assert_eq!(words(live), words(&history[history.len() - live.len()..]));
    assert!(history.iter().all(|item| !item.streaming), "{history:?}");
}

#[tokio::test]
async fn the_real_gateway() {
    let model = model::start().await;
    let credential = OpenClaw.new_credential();
    let token = Credential::parse(&credential).unwrap().token().expose_secret().to_owned();
    let mut gateway = RealGateway::start(model.port(), &token).await;
    let mut hub = Watched::start(&credential, gateway.port);
    hub.until_ready().await;

    turns(&mut hub).await;
    restart_of_the_hub(&mut hub, &credential, gateway.port).await;
    people(&credential, &token, gateway.port).await;

    assert_eq!(hub.link.is_busy().await, Ok(false));
    let Ok(Suspension::Ready { suspension_id }) = hub.link.suspend("test").await else { panic!("not suspended") };
    hub.link.resume(&suspension_id).await.unwrap();
    let sessions = hub.link.sessions().await.unwrap();
    assert!(sessions.iter().any(|session| session.key == hub.link.session_key("main")), "{sessions:?}");

    restart_of_the_gateway(&mut hub, &credential, gateway.port).await;
    death_of_the_gateway(&mut hub, &mut gateway).await;
    drop(hub);
    gateway.stop().await;
}

async fn turns(hub: &mut Watched) {
    let (phase, live, history) = hub.turn("good morning", "key-1").await;
    assert_eq!(phase, "done");
    assert_shown(&live, &history);
    assert_eq!(
        words(&history),
        [("key-1:user", ChatRole::User, "good morning"), ("key-1:1", ChatRole::Assistant, "Echo: good morning")]
    );

    let (phase, live, history) = hub.turn("tool: echo one; echo two", "key-2").await;
    assert_eq!(phase, "done");
    assert_shown(&live, &history);
    let roles: Vec<ChatRole> = live.iter().map(|item| item.role).collect();
    assert_eq!(roles, [ChatRole::User, ChatRole::Assistant, ChatRole::Tool, ChatRole::Assistant], "{live:?}");
    assert!(live[2].text.contains("echo one; echo two\none\ntwo"), "{live:?}");

    let (phase, live, history) = hub.turn("fail: 400", "key-3").await;
    assert_eq!(phase, "failed");
    assert_shown(&live, &history);
    assert_eq!(history.last().map(|item| item.role), Some(ChatRole::Error));

    hub.link.send("main", "slow: 100", "key-4").await.unwrap();
    hub.until_item(|item| item.text.contains("word5")).await;
    assert_eq!(hub.link.is_busy().await, Ok(true));
    hub.link.abort("main").await.unwrap();
    let (phase, _, history) = hub.follow().await;
    assert_eq!(phase, "aborted");
    let last = history.last().unwrap();
    assert!(last.id == "key-4:1" && last.text.starts_with("word0 word1"), "{last:?}");

    // The gateway cuts longer messages in its pages and events.
    let question = "x".repeat(9_000);
    let (phase, _, history) = hub.turn(&question, "key-long").await;
    assert_eq!(phase, "done");
    let echo = format!("Echo: {question}");
    assert_eq!(
        words(&history)[history.len() - 2..],
        [("key-long:user", ChatRole::User, question.as_str()), ("key-long:1", ChatRole::Assistant, echo.as_str())]
    );

    let (phase, live, history) = hub.turn("/status", "key-5").await;
    assert_eq!(phase, "done");
    assert_shown(&live, &history);
    assert!(live[1].text.contains("OpenClaw"), "{live:?}");
}

/// A second link is what a restarted hub is.
async fn restart_of_the_hub(hub: &mut Watched, credential: &AgentCredential, port: u16) {
    hub.link.send("main", "slow: 60", "key-6").await.unwrap();
    hub.until_item(|item| item.text.contains("word5")).await;
    let mut fresh = Watched::start(credential, port);
    fresh.until_ready().await;
    assert_eq!(fresh.next().await, ChatChange::Reload);
    assert!(matches!(fresh.next().await, ChatChange::Run(run) if run.id == "key-6" && run.phase == "answering"));
    let history = fresh.link.history("main", 100).await.unwrap();
    let last = history.last().unwrap();
    assert!(last.streaming && last.id == "key-6:1" && last.text.starts_with("word0 word1"), "{last:?}");
    let (phase, live, history) = fresh.follow().await;
    assert_eq!(phase, "done");
    assert_shown(&live, &history);
    assert!(live.last().unwrap().text.ends_with("word58 word59"), "{live:?}");
    hub.follow().await;
}

/// Browser clients get in by the handshake, from a loopback without an `Origin`, whatever machine they say they are.
async fn people(credential: &AgentCredential, token: &str, port: u16) {
    for (id, mode, platform) in [
        ("openclaw-control-ui", "webchat", "MacIntel"),
        ("webchat-ui", "webchat", "Linux x86_64"),
        ("openclaw-macos", "ui", "macos"),
        ("cli", "cli", "win32"),
        ("gateway-client", "backend", "linux"),
    ] {
        let params = json!({"minProtocol": 4, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"],
            "caps": ["tool-events"], "locale": "de", "userAgent": "UA", "auth": {"token": "guess"},
            "client": {"id": id, "mode": mode, "platform": platform, "version": "1", "instanceId": "tab-1"}});
        let (mut socket, answer) = connect(credential, port, params).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["ok"], true, "{id}/{mode}: {}", answer["error"]);
        assert!(!answer.to_string().contains(token));
        assert_eq!(answer["payload"]["auth"].get("deviceToken"), None);
        let sessions = call(&mut socket, "sessions.list", json!({"limit": 1})).await;
        assert_eq!(sessions["ok"], true, "{id}/{mode}: {sessions}");
    }
    let old = json!({"minProtocol": 3, "maxProtocol": 3, "client": {"id": "cli", "mode": "cli", "version": "1"}});
    let (_, refusal) = connect(credential, port, old).await;
    assert!(refusal.contains("PROTOCOL_MISMATCH"), "{refusal}");
}

async fn restart_of_the_gateway(hub: &mut Watched, credential: &AgentCredential, port: u16) {
    let params = json!({"minProtocol": 4, "maxProtocol": 4, "client": {"id": "cli", "mode": "cli", "version": "1"}});
    let (mut socket, _) = connect(credential, port, params).await;
    let answer = call(&mut socket, "gateway.restart.request", json!({"reason": "test"})).await;
    assert_eq!(answer["ok"], true, "{answer}");
    hub.until_lost().await;
    hub.until_ready().await;
    while hub.next().await != ChatChange::Reload {}
    let before = hub.link.history("main", 100).await.unwrap();
    assert_eq!(hub.link.send("main", "good morning", "key-1").await, Ok("key-1".to_owned()));
    assert_eq!(hub.link.is_busy().await, Ok(false), "the key was used before the restart");
    assert_eq!(hub.link.history("main", 100).await.unwrap(), before);
    let (phase, live, history) = hub.turn("after the restart", "key-7").await;
    assert_eq!(phase, "done");
    assert_shown(&live, &history);
}

/// The gateway takes the turn up again by itself, as a run of its own; people see one turn with one answer.
async fn death_of_the_gateway(hub: &mut Watched, gateway: &mut RealGateway) {
    hub.link.send("main", "slow: 40", "key-8").await.unwrap();
    hub.until_item(|item| item.text.contains("word5")).await;
    gateway.die_and_return().await;
    hub.until_lost().await;
    hub.until_ready().await;
    hub.until_item(|item| item.role == ChatRole::System).await;
    let (phase, _, history) = hub.follow().await;
    assert_eq!(phase, "done");
    let answer = (0..40).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    let [question, note, last] = &history[history.len() - 3..] else { panic!("{history:?}") };
    assert_eq!((question.id.as_str(), note.role), ("key-8:user", ChatRole::System), "{history:?}");
    assert_eq!((last.id.as_str(), &last.text, last.streaming), ("key-8:1", &answer, false));
}

type Socket = WebSocketStream<TcpStream>;

/// Connects a person as the forwarder does.
async fn connect(credential: &AgentCredential, port: u16, params: Value) -> (Socket, String) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut socket, _) = client_async("ws://127.0.0.1:18789/", stream).await.unwrap();
    let mut handshake = OpenClaw.handshake(credential);
    handshake.on_challenge(&text(&mut socket).await).unwrap();
    let request = json!({"type": "req", "id": "c1", "method": "connect", "params": params}).to_string();
    socket.send(Message::text(handshake.on_connect(&request).unwrap())).await.unwrap();
    let answer = text(&mut socket).await;
    (socket, handshake.on_answer(&answer).unwrap())
}

async fn call(socket: &mut Socket, method: &str, params: Value) -> Value {
    let request = json!({"type": "req", "id": "q", "method": method, "params": params}).to_string();
    socket.send(Message::text(request)).await.unwrap();
    loop {
        let frame: Value = serde_json::from_str(&text(socket).await).unwrap();
        if frame["id"] == "q" {
            return frame;
        }
    }
}

async fn text(socket: &mut Socket) -> String {
    loop {
        match timeout(TURN_PATIENCE, socket.next()).await.expect("a message comes").unwrap().unwrap() {
            Message::Text(text) => return text.as_str().to_owned(),
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}
