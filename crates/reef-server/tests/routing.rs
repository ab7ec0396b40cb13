//! Which instance a request is for, what reaches it, and what is refused on the way.

use http::Method;
use reef_testkit::{Client, FakeGateway, TestHub};
use serde_json::json;

async fn with_instance() -> (TestHub, Client, FakeGateway, String) {
    let (hub, client) = TestHub::owned().await;
    let gateway = FakeGateway::start().await;
    hub.driver.route(None, 18_000, gateway.addr);
    let view = hub.create(&client, "scout").await;
    (hub, client, gateway, view["id"].as_str().expect("an id").to_owned())
}

#[tokio::test]
async fn selectors() {
    let (_hub, client, _gateway, id) = with_instance().await;
    let direct = client.get("/api/instances/scout/sessions").await;
    assert_eq!(direct.status, 200, "{direct:?}");
    for selector in ["scout", id.as_str()] {
        let by_header = client.clone().with("x-instance-id", selector).get("/api/sessions").await;
        let by_query = client.get(&format!("/api/sessions?instanceId={selector}")).await;
        let both = client.clone().with("x-instance-id", selector);
        let both = both.get(&format!("/api/sessions?instanceId={selector}")).await;
        for answer in [by_header, by_query, both] {
            assert_eq!((answer.status, &answer.body), (200, &direct.body), "{answer:?}");
        }
    }
    for (path, header, status, code) in [
        // Nobody's and everybody's.
        ("/api/sessions", None, 400, "instance_required"),
        ("/api/files/tree", None, 400, "instance_required"),
        ("/ws", None, 400, "instance_required"),
        ("/api/sessions", Some("missing"), 404, "instance_not_found"),
        ("/api/sessions?instanceId=missing", None, 404, "instance_not_found"),
        ("/ws?instanceId=missing", None, 404, "instance_not_found"),
        ("/api/sessions", Some("Not/a/Name"), 404, "unknown_selector"),
        ("/api/sessions?instanceId=..%2Fother", None, 404, "unknown_selector"),
        ("/api/sessions?instanceId=", None, 404, "unknown_selector"),
        ("/api/sessions", Some(""), 404, "unknown_selector"),
        // Two of them.
        ("/api/sessions?instanceId=scout", Some("other"), 400, "invalid_request"),
        ("/api/sessions?instanceId=scout&instanceId=scout", None, 400, "invalid_request"),
        ("/api/sessions?instanceId=scout&instance%49d=other", None, 400, "invalid_request"),
        // Where none belongs.
        ("/api/instances", Some("scout"), 400, "hub_only_path"),
        ("/api/instances/scout", Some("scout"), 400, "hub_only_path"),
        ("/api/instances/scout/sessions?instanceId=other", None, 400, "hub_only_path"),
        ("/api/instances/scout/proxy/x?instanceId=other", None, 400, "hub_only_path"),
        ("/api/auth/session?instanceId=scout", None, 400, "hub_only_path"),
        ("/api/providers", Some("scout"), 400, "hub_only_path"),
        ("/api/jobs?instanceId=scout", None, 400, "hub_only_path"),
        ("/api/nothing", Some("scout"), 400, "hub_only_path"),
        ("/health?instanceId=scout", None, 400, "hub_only_path"),
        ("/healthcheck", Some("scout"), 400, "hub_only_path"),
        // Not built yet, which is no reason to answer with something else.
        ("/api/files/tree", Some("scout"), 501, "not_implemented"),
        ("/api/instances/scout/files/tree", None, 501, "not_implemented"),
        ("/api/usage?instanceId=scout", None, 501, "not_implemented"),
        ("/api/tokens?instanceId=scout", None, 501, "not_implemented"),
        ("/api/events?instanceId=scout", None, 501, "not_implemented"),
        ("/api/files/tree?instanceId=missing", None, 404, "instance_not_found"),
    ] {
        let asking = match header {
            Some(selector) => client.clone().with("x-instance-id", selector),
            None => client.clone(),
        };
        let answer = asking.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {header:?}: {answer:?}");
        answer.assert_refused(status, code);
    }
}

#[tokio::test]
async fn paths_with_two_readings_are_not_forwarded() {
    let (_hub, client, _gateway, _) = with_instance().await;
    for path in [
        "..",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/.",
        "%2e%2e",
        "%2e%2e/x",
        "a/%2E%2E/b",
        ".%2e/x",
        "a/%2e",
        "%252e%252e/x",
        "..%2fx",
        "a%2f..%2fb",
        "%2fetc",
        "a%2f%2fb",
        "a//b",
        "/",
        "//evil.example/",
        "a\\b",
        "a%5cb",
        "..%5c..%5cx",
        "a%00b",
        "a%0d%0ab",
        "%c0%ae%c0%ae/x",
        "a%ff",
        "%",
        "%2",
        "%zz",
        "..;x/a",
        "..;/a",
        "%2e%2e%3b/a",
    ] {
        let raw = format!(
            "{}\r\n",
            client.clone().with("connection", "close").head("GET", &format!("/api/instances/scout/proxy/{path}"))
        );
        let answer = client.raw(raw.as_bytes()).await;
        let refused = answer.starts_with("HTTP/1.1 400") && answer.contains(r#""code":"invalid_proxy_path""#);
        assert!(refused, "{path}: {answer}");
    }
    for path in ["", "a", "a/b.c", "a%20b", "%c3%a4", "a%25b", "...", ".well-known/x", "a;b"] {
        let answer = client.get(&format!("/api/instances/scout/proxy/{path}?q=..%2f..&x=//")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.json()["target"], format!("/{path}?q=..%2f..&x=//"));
    }
    assert_eq!(client.get("/api/instances/scout/proxy").await.json()["target"], "/");
}

#[tokio::test]
async fn what_an_agent_sees_and_what_comes_back() {
    let (hub, client, _gateway, _) = with_instance().await;
    let asking = client
        .clone()
        .with("cookie", "reef_session=secret; theirs=1; __Host-reef_session=secret")
        .with("x-forwarded-for", "10.0.0.1")
        .with("forwarded", "for=10.0.0.1")
        .with("x-openclaw-scopes", "operator.admin")
        .with("x-custom", "kept")
        .with("x-request-id", "my-request_1")
        .with("range", "bytes=0-1");
    let answer = asking.send(Method::PUT, "/api/instances/scout/proxy/data", Some(json!({ "n": 1 }))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!((&seen["method"], &seen["bodyBytes"]), (&json!("PUT"), &json!(7)));
    let headers = seen["headers"].as_object().expect("headers");
    for gone in ["authorization", "cookie", "x-forwarded-for", "forwarded", "x-openclaw-scopes", "x-instance-id"] {
        assert!(!headers.contains_key(gone), "{gone}: {seen}");
    }
    assert_eq!(headers["host"], "127.0.0.1:18000");
    for (name, value) in [("x-custom", "kept"), ("range", "bytes=0-1"), ("x-request-id", "my-request_1")] {
        assert_eq!(headers.get(name), Some(&json!(value)), "{name}: {seen}");
    }
    // A page of an agent acts for nobody.
    assert!(
        answer.header("content-security-policy").split(';').any(|part| part.trim().starts_with("sandbox")),
        "{answer:?}"
    );
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.header("etag"), "\"kept\"");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-request-id"), "my-request_1");
    for dest in ["script", "worker", "serviceworker"] {
        let answer = client.clone().with("sec-fetch-dest", dest).get("/api/instances/scout/proxy/a.js").await;
        answer.assert_refused(403, "forbidden");
    }

    assert_eq!(client.post("/api/instances/scout/stop?wait=done", json!({})).await.status, 200);
    let answer = client.get("/api/instances/scout/proxy/").await;
    answer.assert_refused(503, "instance_unavailable");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|secs| secs > 0), "{answer:?}");
    let refusal = client.websocket("/ws?instanceId=scout").await.expect_err("refused");
    assert_eq!(refusal, (503, "instance_unavailable".to_owned()));
    drop(hub);
}

#[tokio::test]
async fn one_error_shape() {
    let (_hub, client, _gateway, _) = with_instance().await;
    let plain = client.clone().with("content-type", "text/plain");
    let post = |client: Client, body: &str| {
        let head = client.with("connection", "close").head("POST", "/api/tokens");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let client = plain.clone();
        async move { client.raw(request.as_bytes()).await }
    };
    let json = client.clone().with("content-type", "application/json");
    for (client, body, status, code) in [
        (&json, "{", 400, "invalid_json"),
        (&json, "", 400, "invalid_json"),
        (&json, "{\"name\":\"a\"} x", 400, "invalid_json"),
        (&json, "{\"name\":\"\u{1}\"}", 400, "invalid_json"),
        (&json, "{\"name\":1}", 400, "invalid_request"),
        (&json, "{\"nom\":\"a\"}", 400, "invalid_request"),
        (&json, "{\"name\":\"a\",\"more\":1}", 400, "invalid_request"),
        (&json, "{\"name\":\"a\",\"name\":\"b\"}", 400, "invalid_request"),
        (&plain, "{\"name\":\"a\"}", 400, "invalid_json"),
    ] {
        let answer = post(client.clone(), body).await;
        let fine = answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(&format!(r#""code":"{code}""#));
        assert!(fine, "{body:?}: {answer}");
    }

    let large = json!({ "name": "a".repeat(3 << 20) });
    client.post("/api/tokens", large).await.assert_refused(413, "body_too_large");
    let declared = format!("{}content-length: 99999999999\r\n\r\n", json.clone().head("POST", "/api/tokens"));
    let answer = json.raw(declared.as_bytes()).await;
    assert!(answer.contains(r#""code":"body_too_large""#), "{answer}");

    client.get("/api/nothing").await.assert_refused(404, "not_found");
    client.get("/assets/nothing.js").await.assert_refused(404, "not_found");
    client.send(Method::PATCH, "/api/instances", None).await.assert_refused(405, "method_not_allowed");
    client.send(Method::POST, "/", None).await.assert_refused(405, "method_not_allowed");
}

#[tokio::test]
async fn request_ids() {
    let (hub, _) = TestHub::owned().await;
    let long = "a".repeat(65);
    for (sent, kept) in [("abc-DEF_1", true), ("", false), ("a b", false), ("a;b", false), ("ä", false), (&long, false)]
    {
        let answer = hub.anonymous().with("x-request-id", sent).get("/api/instances").await;
        answer.assert_refused(401, "unauthenticated");
        assert_eq!(answer.header("x-request-id") == sent, kept, "{sent:?}");
        assert!(!answer.header("x-request-id").is_empty());
    }
    let (one, two) = (hub.anonymous().get("/").await, hub.anonymous().get("/health").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn browsers_are_told_to_be_strict() {
    let (hub, client) = TestHub::owned().await;
    for path in ["/", "/api/instances", "/api/nothing", "/health"] {
        let answer = client.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path} {name}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    assert!(client.get("/api/instances").await.header("content-security-policy").contains("default-src 'none'"));
    let page = client.get("/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self'"), "{policy}");
    drop(hub);
}
