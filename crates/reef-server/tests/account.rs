//! The first start, sign-in and sign-out, API tokens.

use futures_util::{SinkExt, StreamExt};
use reef_testkit::{Answer, Client, FakeGateway, PASSWORD, TestHub};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

async fn code(hub: &TestHub) -> String {
    hub.hub.setup_code().await.expect("the store works").expect("nobody owns it").expose_secret().to_owned()
}

fn setup(code: &str) -> Value {
    json!({ "code": code, "name": "ada", "password": PASSWORD })
}

fn login(password: &str) -> Value {
    json!({ "name": "ada", "password": password })
}

#[tokio::test]
async fn a_setup_code_makes_one_owner_once() {
    let hub = TestHub::start().await;
    let nobody = hub.anonymous();
    assert_eq!(nobody.get("/api/setup").await.json(), json!({ "required": true }));
    let old = code(&hub).await;
    let code = code(&hub).await;

    // None of these uses the code up.
    let wrong = code.chars().rev().collect::<String>();
    for bad in ["", "junk", wrong.as_str(), old.as_str()] {
        nobody.post("/api/setup", setup(bad)).await.assert_refused(403, "forbidden");
    }
    nobody.post("/api/setup", json!({ "name": "ada", "password": PASSWORD })).await.assert_refused(403, "forbidden");
    for (body, field) in [
        (json!({ "code": code, "name": "", "password": PASSWORD }), "name"),
        (json!({ "code": code, "name": "a b", "password": PASSWORD }), "name"),
        (json!({ "code": code, "name": "ada", "password": "short" }), "password"),
    ] {
        let answer = nobody.post("/api/setup", body).await;
        answer.assert_refused(400, "invalid_request");
        assert_eq!(answer.json()["error"]["field"], field);
    }

    // Of several at once, one wins.
    let answers = futures_util::future::join_all((0..4).map(|_| nobody.post("/api/setup", setup(&code)))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201, "{answers:?}");
    assert!(statuses[1..].iter().all(|status| matches!(status, 403 | 409)), "{answers:?}");

    assert_eq!(nobody.get("/api/setup").await.json(), json!({ "required": false }));
    nobody.post("/api/setup", setup(&code)).await.assert_refused(409, "setup_done");
    assert!(hub.hub.setup_code().await.expect("the store works").is_none(), "an owned hub gives no code");
}

#[tokio::test]
async fn a_new_setup_code_is_the_only_one_also_after_a_restart() {
    let hub = TestHub::start().await;
    let old = code(&hub).await;
    let hub = hub.restart().await;
    let new = code(&hub).await;
    hub.anonymous().post("/api/setup", setup(&old)).await.assert_refused(403, "forbidden");
    assert_eq!(hub.anonymous().post("/api/setup", setup(&new)).await.status, 201);
}

/// The cookie must not be readable by pages, not travel to other sites, and be the hub's for all paths.
fn assert_session_cookie(answer: &Answer) {
    let cookie = answer.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    let (name, secret) = pair.split_once('=').expect("a pair");
    assert_eq!(name, "reef_session");
    assert!(secret.len() >= 43, "256 bits: {cookie}");
    let attributes: Vec<_> = attributes.split("; ").collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Strict"], "{cookie}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!String::from_utf8_lossy(&answer.body).contains(secret), "the secret is in the cookie only");
}

#[tokio::test]
async fn sign_in_and_out() {
    let hub = TestHub::start().await;
    let browser = hub.own_in_browser().await;
    let nobody = hub.anonymous();

    let answer = nobody.post("/api/auth/login", login(PASSWORD)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_session_cookie(&answer);
    let mine = nobody.clone().with_cookie_of(&answer);
    let session = mine.get("/api/auth/session").await.json();
    assert_eq!((&session["user"]["name"], &session["via"]), (&json!("ada"), &json!("session")));

    nobody.post("/api/auth/login", login("wrong horse")).await.assert_refused(401, "unauthenticated");
    let unknown = nobody.post("/api/auth/login", json!({ "name": "eve", "password": PASSWORD })).await;
    let wrong = nobody.post("/api/auth/login", login("wrong horse")).await;
    assert_eq!(unknown.json()["error"]["message"], wrong.json()["error"]["message"], "they cannot be told apart");

    let answer = mine.post("/api/auth/logout", json!({})).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").starts_with("reef_session=; Path=/; Max-Age=0;"), "{answer:?}");
    mine.get("/api/auth/session").await.assert_refused(401, "unauthenticated");
    assert_eq!(browser.get("/api/auth/session").await.status, 200, "other sessions go on");
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let (hub, _) = TestHub::owned().await;
    let nobody = hub.anonymous();
    let mut refused = None;
    for _ in 0..20 {
        let answer = nobody.post("/api/auth/login", login("wrong horse")).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.assert_refused(401, "unauthenticated");
    }
    let refused = refused.expect("there is an end to it");
    refused.assert_refused(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|secs| secs >= 1), "{refused:?}");
    // The right password is not looked at either: the answer must not tell it.
    nobody.post("/api/auth/login", login(PASSWORD)).await.assert_refused(429, "rate_limited");
}

/// What a browser has open when its session ends.
async fn assert_ends_with(hub: &TestHub, client: &Client, end: impl AsyncFnOnce()) {
    let mut streams = Vec::new();
    for path in ["/api/events", "/api/instances/scout/chat/main/stream", "/api/instances/scout/logs?follow=true&tail=0"]
    {
        streams.push((path, client.events(path).await));
    }
    // Streams that ended at once would prove nothing.
    assert_eq!(streams[0].1.next().await.expect("an event").name, "hello");
    assert_eq!(streams[1].1.next().await.expect("an event").name, "snapshot");
    let mut socket = client.websocket("/ws?instanceId=scout").await.expect("a WebSocket");
    socket.next().await.expect("the challenge").expect("a message");
    socket.send(Message::text("{}")).await.expect("sent");
    socket.next().await.expect("the answer").expect("a message");
    socket.send(Message::text("echo")).await.expect("sent");
    assert_eq!(socket.next().await.expect("the echo").expect("a message"), Message::text("echo"));

    end().await;
    for (path, stream) in &mut streams {
        let rest = stream.rest().await;
        assert!(rest.iter().all(|event| event.name != "hello"), "{path}: {rest:?}");
    }
    let Message::Close(Some(frame)) = socket.next().await.expect("the end").expect("a frame") else {
        panic!("not closed")
    };
    assert_eq!(u16::from(frame.code), 4401);
    assert_eq!(hub.anonymous().get("/health").await.status, 200);
}

#[tokio::test]
async fn what_a_session_or_token_opened_ends_with_it() {
    let hub = TestHub::start().await;
    let browser = hub.own_in_browser().await;
    let owner = browser.token("all").await;
    let gateway = FakeGateway::start().await;
    hub.driver.route(None, 18_000, gateway.addr);
    hub.create(&owner, "scout").await;

    let other = browser.events("/api/events").await;
    let answer = hub.anonymous().post("/api/auth/login", login(PASSWORD)).await;
    let mine = hub.anonymous().with_cookie_of(&answer);
    assert_ends_with(&hub, &mine, async || {
        assert_eq!(mine.post("/api/auth/logout", json!({})).await.status, 204);
    })
    .await;

    let token = browser.token("all").await;
    let id = owner.get("/api/tokens").await.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_ends_with(&hub, &token, async || {
        assert_eq!(owner.delete(&format!("/api/tokens/{id}")).await.status, 204);
    })
    .await;

    let mut other = other;
    assert_eq!(other.next().await.expect("an event").name, "hello", "nobody else's stream ended");
    let made = owner.post("/api/instances", json!({ "name": "later" })).await;
    assert_eq!(made.status, 202);
    other.find(|event| event.name == "instance" && event.data["name"] == "later").await;
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let (_hub, owner) = TestHub::owned().await;
    let made = owner.post("/api/tokens", json!({ "name": "ci", "scopes": ["read", "chat"] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.json()["secret"].as_str().expect("a secret").to_owned();
    let id = made.json()["token"]["id"].as_str().expect("an id").to_owned();
    assert!(secret.starts_with("reef_"), "scanners know it by its form");
    assert_eq!(made.json()["token"]["scopes"], json!(["read", "chat"]));

    let list = owner.get("/api/tokens").await;
    assert!(!String::from_utf8_lossy(&list.body).contains(&secret[5..]), "{list:?}");
    assert_eq!(list.json()["items"][0]["id"], json!(id));

    let bearer = format!("Bearer {secret}");
    let client = owner.clone().with("authorization", &bearer);
    assert_eq!(client.get("/api/auth/session").await.json()["via"], "token");
    assert_eq!(owner.delete(&format!("/api/tokens/{id}")).await.status, 204);
    client.get("/api/auth/session").await.assert_refused(401, "unauthenticated");
    owner.delete(&format!("/api/tokens/{id}")).await.assert_refused(404, "not_found");
    owner.delete("/api/tokens/junk").await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn tokens_that_cannot_be() {
    let (_hub, owner) = TestHub::owned().await;
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "  " }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "a".repeat(81) }), "name"),
        (json!({ "name": "a", "scopes": ["root"] }), "scopes"),
        (json!({ "name": "a", "scopes": ["read", ""] }), "scopes"),
    ] {
        let answer = owner.post("/api/tokens", body.clone()).await;
        answer.assert_refused(400, "invalid_request");
        assert_eq!(answer.json()["error"]["field"], field, "{body}");
    }
    let read = owner.token("read").await;
    read.post("/api/tokens", json!({ "name": "more" })).await.assert_refused(403, "forbidden");
}
