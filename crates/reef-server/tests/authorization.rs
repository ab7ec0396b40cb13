//! Every operation of the document, as everybody. A new one that is not in the table fails.

use std::collections::BTreeSet;

use http::Method;
use reef_testkit::{Answer, Client, PASSWORD, TestHub};
use serde_json::{Value, json};

/// What needs no credential at all.
const PUBLIC: &[&str] =
    &["get /health", "get /healthcheck", "get /api/setup", "post /api/setup", "post /api/auth/login"];

/// Everything else, and whether a token with the scope `read`, or `chat`, may do it.
const PROTECTED: &[(&str, bool, bool)] = &[
    ("get /api/agents", true, false),
    ("post /api/agents/{kind}/versions", false, false),
    ("delete /api/agents/{kind}/versions/{version}", false, false),
    ("post /api/auth/logout", true, true),
    ("get /api/auth/session", true, true),
    ("get /api/events", true, true),
    ("get /api/instances", true, true),
    ("post /api/instances", false, false),
    ("get /api/instances/credentials", true, false),
    ("get /api/instances/{id}", true, true),
    ("delete /api/instances/{id}", false, false),
    ("post /api/instances/{id}/chat/{session}/abort", false, true),
    ("post /api/instances/{id}/chat/{session}/messages", false, true),
    ("get /api/instances/{id}/chat/{session}/stream", true, true),
    ("get /api/instances/{id}/logs", true, false),
    ("get /api/instances/{id}/proxy/{path}", false, false),
    ("post /api/instances/{id}/restart", false, false),
    ("get /api/instances/{id}/sessions", true, true),
    ("post /api/instances/{id}/start", false, false),
    ("post /api/instances/{id}/stop", false, false),
    ("get /api/instances/{id}/token", false, false),
    ("get /api/instances/{id}/ws", false, false),
    ("get /api/jobs", true, true),
    ("get /api/jobs/{id}", true, true),
    ("post /api/jobs/{id}/cancel", false, false),
    ("get /api/providers", true, false),
    ("post /api/providers", false, false),
    ("delete /api/providers/{name}", false, false),
    ("get /api/system", true, false),
    ("get /metrics", true, false),
    ("get /api/tokens", true, false),
    ("post /api/tokens", false, false),
    ("delete /api/tokens/{id}", false, false),
    ("get /metrics", true, false),
];

fn document() -> Value {
    serde_json::to_value(reef_server::openapi()).expect("the document is JSON")
}

/// `get /api/…` for every operation of the document.
fn operations() -> BTreeSet<String> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let methods = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
    let of_path = |(path, item): (&String, &Value)| -> Vec<String> {
        methods.iter().filter(|m| item.get(m).is_some()).map(|m| format!("{m} {path}")).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A request for an operation that gets as far as the rights let it.
async fn call(client: &Client, operation: &str, instance: &str) -> Answer {
    let (method, path) = operation.split_once(' ').expect("a method and a path");
    let path = path
        .replace("/instances/{id}", &format!("/instances/{instance}"))
        .replace("{id}", "job_0198a0a0-0000-7000-8000-000000000000")
        .replace("{kind}", "fake")
        .replace("{version}", "9.9.9")
        .replace("{session}", "main")
        .replace("{name}", "nobody")
        .replace("{path}", "index.html");
    let body = match operation {
        "post /api/setup" => json!({ "code": "wrong", "name": "eve", "password": PASSWORD }),
        "post /api/auth/login" => json!({ "name": "ada", "password": PASSWORD }),
        "post /api/instances" => json!({ "name": "made" }),
        "post /api/tokens" => json!({ "name": "made" }),
        "post /api/agents/{kind}/versions" => json!({ "version": "1.0.0" }),
        "post /api/instances/{id}/chat/{session}/messages" => json!({ "text": "hi" }),
        "post /api/providers" => {
            json!({ "name": "up", "kind": "openai", "baseUrl": "https://up.example/v1", "apiKey": "k", "models": ["m"] })
        }
        _ => json!({}),
    };
    let method: Method = method.to_uppercase().parse().expect("a method");
    let body = (method == Method::POST).then_some(body);
    let response = client.open(method.clone(), &path, body.clone()).await;
    if response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream") {
        return Answer { status: 200, headers: response.headers().clone(), body: Default::default() };
    }
    use http_body_util::BodyExt;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

#[test]
fn the_tables_are_the_document() {
    let listed: BTreeSet<_> =
        PUBLIC.iter().copied().chain(PROTECTED.iter().map(|row| row.0)).map(str::to_owned).collect();
    assert_eq!(listed, operations());
}

#[tokio::test]
async fn nobody_and_bad_credentials_are_refused_everywhere() {
    let (hub, owner) = TestHub::owned().await;
    hub.create(&owner, "scout").await;
    let nobody = hub.anonymous();
    let ended = owner.token("all").await;
    let id = owner.get("/api/tokens").await.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(owner.delete(&format!("/api/tokens/{id}")).await.status, 204);
    let bad = [
        ("an unknown token", nobody.clone().with("authorization", &format!("Bearer reef_{}", "a".repeat(43)))),
        ("junk", nobody.clone().with("authorization", "Bearer junk")),
        ("another scheme", nobody.clone().with("authorization", "Basic YWRhOmFkYQ==")),
        ("a removed token", ended),
    ];
    for (operation, ..) in PROTECTED {
        call(&nobody, operation, "scout").await.assert_refused(401, "unauthenticated");
        // Nobody learns by the answer what there is.
        call(&nobody, operation, "missing").await.assert_refused(401, "unauthenticated");
        let cookie = nobody
            .clone()
            .with("cookie", "reef_session=junk")
            .with("origin", &format!("http://{}", hub.addr))
            .with("sec-fetch-site", "same-origin");
        call(&cookie, operation, "scout").await.assert_refused(401, "unauthenticated");
        for (what, client) in &bad {
            let answer = call(client, operation, "scout").await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{what}: {operation}");
        }
    }
    for operation in PUBLIC {
        let answer = call(&nobody, operation, "scout").await;
        let expect = if *operation == "post /api/setup" { 409 } else { 200 };
        assert_eq!(answer.status, expect, "{operation}: {answer:?}");
    }
    assert_eq!(owner.get("/api/instances/scout").await.json()["phase"], "running", "nothing was done");
}

#[tokio::test]
async fn narrow_tokens_do_what_the_table_says() {
    let (hub, owner) = TestHub::owned().await;
    hub.create(&owner, "scout").await;
    for (scope, allowed) in [("read", 1), ("chat", 2)] {
        let client = owner.token(scope).await;
        for row in PROTECTED {
            let may = if allowed == 1 { row.1 } else { row.2 };
            for instance in ["scout", "missing"] {
                let answer = call(&client, row.0, instance).await;
                if may {
                    assert!(!matches!(answer.status, 401 | 403), "{scope}: {}: {answer:?}", row.0);
                    assert!(instance == "missing" || answer.status < 500, "{scope}: {}: {answer:?}", row.0);
                } else {
                    answer.assert_refused(403, "forbidden");
                }
            }
        }
    }
    let names: Vec<_> = owner.get("/api/instances").await.json()["instances"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|view| (view["name"].clone(), view["phase"].clone()))
        .collect();
    assert_eq!(names, [(json!("scout"), json!("running"))], "nothing was made, stopped or removed");
}

#[tokio::test]
async fn the_owner_is_never_refused_for_want_of_rights() {
    let hub = TestHub::start().await;
    let browser = hub.own_in_browser().await;
    let token = browser.token("all").await;
    for (kind, client) in [("token", token), ("browser", browser)] {
        for (operation, ..) in PROTECTED {
            if kind == "browser" && *operation == "post /api/auth/logout" {
                continue;
            }
            let answer = call(&client, operation, "missing").await;
            assert!(!matches!(answer.status, 401 | 403), "{kind}: {operation}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_can_change_nothing() {
    let hub = TestHub::start().await;
    let browser = hub.own_in_browser().await;
    let own = format!("http://{}", hub.addr);
    let https = format!("https://{}", hub.addr);
    let forged = [
        ("no origin", browser.clone().without("origin")),
        ("another site", browser.clone().with("origin", "https://evil.example")),
        ("another port", browser.clone().with("origin", "http://127.0.0.1:1")),
        ("another scheme", browser.clone().with("origin", &https)),
        ("a sandboxed page", browser.clone().with("origin", "null")),
        ("cross-site", browser.clone().with("sec-fetch-site", "cross-site")),
        ("same-site", browser.clone().with("sec-fetch-site", "same-site")),
        ("no site", browser.clone().without("sec-fetch-site")),
    ];
    for operation in operations().iter().filter(|operation| !operation.starts_with("get ")) {
        for (what, client) in &forged {
            let answer = call(client, operation, "missing").await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{what}: {operation}: {answer:?}");
        }
    }
    // A sign-in in somebody else's name is an attack too, and needs no cookie.
    for operation in ["post /api/auth/login", "post /api/setup"] {
        let client = hub.anonymous().with("origin", "https://evil.example").with("sec-fetch-site", "cross-site");
        call(&client, operation, "missing").await.assert_refused(403, "forbidden");
    }
    // WebSockets are not bound by the same-origin policy: the hub has to look.
    for origin in ["https://evil.example", "null"] {
        let refusal = browser.clone().with("origin", origin).websocket("/ws?instanceId=missing").await;
        assert_eq!(refusal.expect_err("refused"), (403, "forbidden".to_owned()), "{origin}");
    }
    let refusal = browser.clone().without("origin").websocket("/ws?instanceId=missing").await;
    assert_eq!(refusal.expect_err("refused").0, 403);
    // And the page of the hub itself can.
    let fine = browser.clone().with("origin", &own);
    assert_eq!(call(&fine, "post /api/tokens", "missing").await.status, 201);
}

#[tokio::test]
async fn a_foreign_host_name_is_refused() {
    let (hub, owner) = TestHub::owned().await;
    let port = hub.addr.port();
    let hosts =
        ["evil.example".to_owned(), format!("evil.example:{port}"), "127.0.0.1".to_owned(), "localhost:1".to_owned()];
    for host in hosts {
        for path in ["/", "/health", "/api/instances", "/api/setup", "/ws?instanceId=a"] {
            owner.clone().with("host", &host).get(path).await.assert_refused(400, "invalid_request");
        }
    }
    let no_host = owner.raw(b"GET /health HTTP/1.0\r\n\r\n").await;
    assert!(no_host.starts_with("HTTP/1.0 400"), "{no_host}");
    for host in [format!("localhost:{port}"), format!("LocalHost:{port}"), format!("[::1]:{port}")] {
        assert_eq!(owner.clone().with("host", &host).get("/health").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn nothing_is_served_that_the_document_does_not_name() {
    let (hub, owner) = TestHub::owned().await;
    hub.create(&owner, "scout").await;
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS];
    for path in [
        "/api",
        "/api/",
        "/api/users",
        "/api/audit",
        "/api/settings",
        "/api/drivers",
        "/api/openapi.json",
        "/api/debug",
        "/api/setup/code",
        "/api/instances/",
        "/api/instances/scout/exec",
        "/api/instances/scout/secrets",
        "/api/instances/scout/token/",
        "/api/instances/scout/%74oken",
        "/api/v1/instances",
        "/api//instances",
        "/api/Instances",
    ] {
        for method in &methods {
            let answer = owner.send(method.clone(), path, None).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{method} {path}: {answer:?}");
        }
    }
    // Outside the API there is the page, which is the same for everybody.
    for path in ["/debug/pprof", "/admin", "/API/instances", "//api/instances"] {
        let (mine, theirs) = (owner.get(path).await, hub.anonymous().get(path).await);
        assert_eq!((mine.status, &mine.body), (theirs.status, &theirs.body), "{path}");
        for method in &methods[1..] {
            let answer = owner.send(method.clone(), path, None).await;
            assert_eq!(answer.code(), "method_not_allowed", "{method} {path}: {answer:?}");
        }
    }
    let known = operations();
    let paths: BTreeSet<_> = known.iter().filter_map(|operation| operation.split(' ').nth(1)).collect();
    for path in paths.into_iter().filter(|path| !path.ends_with("/proxy/{path}")) {
        for method in &methods {
            let operation = format!("{} {path}", method.as_str().to_lowercase());
            if !known.contains(&operation) {
                let answer = call(&owner, &operation, "scout").await;
                assert_eq!(answer.code(), "method_not_allowed", "{operation}: {answer:?}");
                assert!(!answer.header("allow").is_empty(), "{operation}: {answer:?}");
            }
        }
    }
}
