//! Planted secrets are looked for everywhere that they must not be: answers, events, logs, files.
//!
//! A test binary of its own, because the log of the whole process is looked at.

use std::{io, path::Path, sync::Arc};

use http::Method;
use parking_lot::Mutex;
use reef_driver::{
    DriverError, DriverEvent, Reason,
    testkit::{Failure, Verb},
};
use reef_testkit::{Answer, Client, FakeGateway, TestHub};
use reef_types::InstanceId;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

const GATEWAY_TOKEN: &str = "marker-gateway-token";
const PROVIDER_KEY: &str = "marker-provider-key";
const PASSWORD: &str = "marker-password-of-ada";
const WRONG_PASSWORD: &str = "marker-password-mistyped";

/// What the hub logs, at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Everything that was seen, with where it was seen.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn answer(&mut self, what: &str, answer: &Answer) {
        // Also an answer's headers, except the cookie that is meant to be there.
        let headers: String = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "set-cookie")
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        self.0.push((format!("answer to {what}"), [headers.as_bytes(), &answer.body].concat()));
    }

    async fn ask(&mut self, client: &Client, method: Method, path: &str, body: Option<Value>) -> Answer {
        let answer = client.send(method.clone(), path, body).await;
        self.answer(&format!("{method} {path}"), &answer);
        answer
    }

    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() {
                self.files(&entry.path());
            } else if kind.is_file() {
                self.0.push((format!("file {}", entry.path().display()), std::fs::read(entry.path()).expect("a file")));
            }
        }
    }

    #[track_caller]
    fn assert_free_of(&self, secrets: &[(&str, String)]) {
        for (place, bytes) in &self.0 {
            for (what, secret) in secrets {
                let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
                if let Some(at) = found {
                    let around = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]);
                    panic!("{what} is in {place}, after: {around}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_anywhere_but_where_it_belongs() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let mut seen = Seen::default();
    let hub = TestHub::start().await;
    let nobody = hub.anonymous();

    let code = hub.hub.setup_code().await.expect("the store works").expect("nobody owns it").expose_secret().to_owned();
    let wish = |code: &str, name: &str| json!({ "code": code, "name": name, "password": PASSWORD });
    seen.ask(&nobody, Method::POST, "/api/setup", Some(wish(&code, "a b"))).await;
    seen.ask(&nobody, Method::POST, "/api/setup", Some(json!({ "code": code, "password": PASSWORD, "nom": "x" })))
        .await;
    let answer = seen.ask(&nobody, Method::POST, "/api/setup", Some(wish(&code, "ada"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    seen.ask(&nobody, Method::POST, "/api/setup", Some(wish(&code, "eve"))).await;
    let browser = nobody.clone().with_cookie_of(&answer);
    let cookie = answer.header("set-cookie").split([';', '=']).nth(1).expect("a value").to_owned();
    for password in [json!(WRONG_PASSWORD), json!(PASSWORD), json!([PASSWORD]), json!({ PASSWORD: 1 })] {
        seen.ask(&nobody, Method::POST, "/api/auth/login", Some(json!({ "name": "ada", "password": password }))).await;
    }
    // The one answer that has it.
    let made = browser.post("/api/tokens", json!({ "name": "cli" })).await;
    let token = made.json()["secret"].as_str().expect("a secret").to_owned();
    let client = nobody.clone().with("authorization", &format!("Bearer {token}"));
    seen.ask(&nobody.clone().with("authorization", &format!("Basic {token}")), Method::GET, "/api/instances", None)
        .await;

    let mut events = client.events("/api/events").await;
    let provider = |url: &str, models: Value| json!({ "name": "up", "kind": "openai", "baseUrl": url, "apiKey": PROVIDER_KEY, "models": models });
    for (url, models) in [
        ("junk", json!(["m"])),
        ("https://up.example/v1", json!([])),
        ("https://up.example/v1", json!("m")),
        ("https://user:marker-provider-key@up.example/v1", json!(["m"])),
        ("https://up.example/v1?key=marker-provider-key", json!(["m"])),
        ("https://up.example/v1", json!(["m"])),
        ("https://up.example/v1", json!(["m"])),
    ] {
        seen.ask(&client, Method::POST, "/api/providers", Some(provider(url, models))).await;
    }
    assert_eq!(client.get("/api/providers").await.json()["items"][0]["name"], "up");

    let gateway = FakeGateway::start().await;
    hub.driver.route(None, 18_000, gateway.addr);
    let view = hub.create(&client, "scout").await;
    let id: InstanceId = view["id"].as_str().expect("an id").parse().expect("an id");
    let broker_key =
        hub.driver.secrets(id).into_iter().find(|secret| secret.name == "broker-key").expect("a key").value;
    assert_eq!(
        client.get("/api/instances/scout/token").await.json()["token"],
        GATEWAY_TOKEN,
        "the one answer that has it"
    );

    // Bad days, whose errors and logs are longest.
    hub.agent.set_ready(false);
    hub.wait_for_phase(&client, "scout", "degraded").await;
    hub.agent.set_ready(true);
    hub.wait_for_phase(&client, "scout", "running").await;
    for (verb, reason) in
        [(Verb::Prepare, Reason::Permission), (Verb::PutSecrets, Reason::Invalid), (Verb::Door, Reason::Internal)]
    {
        hub.driver.fail_times(Failure::Refuse { verb, error: DriverError::new(reason, "no") }, 1);
        seen.ask(&client, Method::POST, "/api/instances/scout/restart?wait=ready", Some(json!({}))).await;
    }
    hub.driver.send_event(DriverEvent::Resync);
    seen.ask(&client, Method::POST, "/api/instances/scout/restart?wait=ready", Some(json!({}))).await;
    seen.ask(&client, Method::POST, "/api/instances/scout/chat/main/messages", Some(json!({ "text": "hello" }))).await;
    seen.ask(&client, Method::GET, "/api/instances/scout/proxy/index.html", None).await;
    seen.ask(&browser, Method::GET, "/api/instances/scout/proxy/index.html", None).await;
    drop(client.websocket("/ws?instanceId=scout").await.expect("a WebSocket"));

    for path in [
        "/health",
        "/healthcheck",
        "/api/setup",
        "/api/auth/session",
        "/api/instances",
        "/api/instances/scout",
        "/api/instances/credentials",
        "/api/instances/scout/sessions",
        "/api/instances/scout/logs",
        "/api/jobs",
        "/api/agents",
        "/api/providers",
        "/api/tokens",
        "/api/system",
        "/metrics",
        "/api/nothing",
    ] {
        for who in [&client, &browser, &nobody] {
            seen.ask(who, Method::GET, path, None).await;
        }
    }
    let snapshot = client.events("/api/instances/scout/chat/main/stream").await.next().await.expect("an event");
    seen.0.push(("the chat".to_owned(), format!("{snapshot:?}").into_bytes()));
    seen.ask(&client, Method::DELETE, "/api/instances/scout?wait=done&data=keep", None).await;
    hub.create(&client, "second").await;
    seen.ask(&browser, Method::POST, "/api/auth/logout", Some(json!({}))).await;

    let hub = hub.restart().await;
    let told = events.rest().await;
    assert!(told.len() > 20, "events were seen");
    seen.0.push(("events".to_owned(), format!("{told:?}").into_bytes()));
    seen.files(hub.dir.path());
    assert!(seen.0.iter().any(|(place, bytes)| place.starts_with("file ") && bytes.starts_with(b"SQLite format 3")));
    let log = log.0.lock().clone();
    let text = String::from_utf8_lossy(&log);
    assert!(
        text.contains("degraded") || text.contains("the instance failed"),
        "the log was captured: {} bytes",
        log.len()
    );
    seen.0.push(("the log".to_owned(), log));

    seen.assert_free_of(&[
        ("the gateway's token", GATEWAY_TOKEN.to_owned()),
        ("the provider's key", PROVIDER_KEY.to_owned()),
        ("the password", PASSWORD.to_owned()),
        ("a mistyped password", WRONG_PASSWORD.to_owned()),
        ("the setup code", code),
        ("the session", cookie),
        ("the API token", token),
        ("the broker key", broker_key),
    ]);
}
