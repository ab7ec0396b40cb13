use std::{sync::Arc, time::Duration};

use super::*;
use crate::testing::{NeverDial, TestHub, error_code, header, soon, status};

const SHORT: Duration = Duration::from_millis(150);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn limits() -> ForwardLimits {
    ForwardLimits::default()
}

#[tokio::test]
async fn a_request_arrives_as_the_instance_should_see_it() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client
        .send(
            "PUT /a%20b?x=%2F&y HTTP/1.1\r\nHost: hub.example\r\nAuthorization: Bearer reef_x\r\nX-Forwarded-For: 1.2.3.4\r\n\
             X-OpenClaw-Scopes: operator.admin\r\nX-Instance-Id: a\r\nCookie: reef_session=s; theme=dark\r\nConnection: x-hop\r\n\
             X-Hop: 1\r\nX-Own: 1\r\nContent-Length: 5\r\n\r\nhello",
        )
        .await;
    let mut instance = hub.accept().await;
    let head = instance.head().await;
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    lines.sort_unstable();
    let port = hub.route.lock().port;
    let host = format!("host: 127.0.0.1:{port}");
    assert_eq!(lines, ["content-length: 5", &host, "put /a%20b?x=%2f&y http/1.1", "x-own: 1", "x-request-id: r-1"]);
    assert_eq!(instance.until("hello").await, "hello");
    instance
        .send("HTTP/1.1 206 Partial\r\nSet-Cookie: a=b\r\nContent-Range: bytes 0-1/9\r\nETag: \"e\"\r\nContent-Length: 2\r\n\r\nok")
        .await;
    let (head, body) = client.response().await;
    assert_eq!((status(&head), body.as_str()), (206, "ok"));
    assert_eq!(header(&head, "content-range"), Some("bytes 0-1/9"));
    assert_eq!(header(&head, "etag"), Some("\"e\""));
    assert_eq!(header(&head, "content-security-policy"), Some("sandbox"));
    assert_eq!(header(&head, "set-cookie"), None);
}

#[tokio::test]
async fn an_answer_streams_as_it_comes() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send(format!("{CHUNKED}5\r\nfirst\r\n")).await;
    // The second part is not sent before the first one was seen.
    client.until("first").await;
    instance.send("6\r\nsecond\r\n0\r\n\r\n").await;
    client.until("second").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn an_upload_streams_as_it_comes() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    let mut instance = hub.accept().await;
    instance.until("first").await;
    client.send("6\r\nsecond\r\n0\r\n\r\n").await;
    instance.until("0\r\n\r\n").await;
    instance.send(OK).await;
    assert_eq!(client.response().await.1, "ok");
}

#[tokio::test]
async fn a_client_that_expects_to_be_told_to_go_on_is_told() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 100);
    client.send("hello").await;
    let mut instance = hub.accept().await;
    instance.until("hello").await;
    instance.send("HTTP/1.1 102 Processing\r\n\r\n").await;
    instance.send(OK).await;
    assert_eq!(client.response().await.1, "ok");
}

#[tokio::test]
async fn trailers_pass() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\nte: trailers\r\n\r\n").await;
    let mut instance = hub.accept().await;
    assert_eq!(header(&instance.head().await, "te"), Some("trailers"));
    instance
        .send("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n")
        .await;
    assert!(client.until("x-sum: 7\r\n\r\n").await.contains("ok"));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let hub = TestHub::start(limits()).await;
    for answered in [false, true] {
        let mut client = hub.client().await;
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        let mut instance = hub.accept().await;
        instance.head().await;
        if answered {
            instance.send(format!("{CHUNKED}5\r\nfirst\r\n")).await;
            client.until("first").await;
        }
        drop(client);
        assert_eq!(instance.rest().await, b"", "answered: {answered}");
    }
    soon("the count", async {
        while hub.forwarder.active().requests != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_used_again_within_one_generation() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("GET /1 HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send(OK).await;
    client.response().await;
    for method in ["GET", "POST"] {
        settled(&hub).await;
        client.send(format!("{method} /2 HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")).await;
        assert!(instance.head().await.starts_with(&method.to_ascii_lowercase()));
        instance.send(OK).await;
        assert_eq!(client.response().await.1, "ok");
    }
    assert_eq!(hub.dials(), 1);

    settled(&hub).await;
    hub.route.lock().generation += 1;
    client.send("GET /3 HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut restarted = hub.accept().await;
    restarted.head().await;
    restarted.send(OK).await;
    assert_eq!(client.response().await.1, "ok");
    assert_eq!(instance.rest().await, b"", "the connection of the older generation is closed");
}

/// Waits until the connection of the last exchange rests in the pool.
async fn settled(hub: &TestHub) {
    let peer = hub.forwarder.peers.get(hub.route.lock().id);
    soon("an idle connection", async {
        while peer.idle_count() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_get_on_a_kept_connection_is_sent_again() {
    for (method, expect) in [("GET", 200), ("POST", 502)] {
        let hub = TestHub::start(limits()).await;
        let mut client = hub.client().await;
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        let mut instance = hub.accept().await;
        instance.head().await;
        instance.send(OK).await;
        client.response().await;
        settled(&hub).await;

        client.send(format!("{method} /again HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")).await;
        instance.head().await;
        drop(instance);
        if expect == 200 {
            let mut fresh = hub.accept().await;
            assert!(fresh.head().await.starts_with("get /again "));
            fresh.send(OK).await;
        }
        assert_eq!(status(&client.response().await.0), expect, "{method}");
        assert_eq!(hub.dials(), if expect == 200 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn a_get_on_a_fresh_connection_is_sent_once() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    drop(instance);
    let (head, body) = client.response().await;
    assert_eq!((status(&head), error_code(&body).as_str(), hub.dials()), (502, "upstream_failed", 1));
}

#[tokio::test]
async fn what_an_instance_may_not_say() {
    for answer in ["garbage\r\n\r\n", "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"] {
        let hub = TestHub::start(limits()).await;
        let mut client = hub.client().await;
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        let mut instance = hub.accept().await;
        instance.head().await;
        instance.send(answer).await;
        let (head, body) = client.response().await;
        assert_eq!((status(&head), error_code(&body).as_str()), (502, "upstream_failed"), "{answer}");
    }
}

#[tokio::test]
async fn what_a_client_may_not_ask() {
    let hub = TestHub::start(ForwardLimits { request_body_bytes_max: 9, ..limits() }).await;
    for (request, expect_status, expect_code) in [
        ("GET /a/%2e%2e/b HTTP/1.1\r\n", 400, "invalid_proxy_path"),
        ("GET /a//b HTTP/1.1\r\n", 400, "invalid_proxy_path"),
        ("GET / HTTP/1.1\r\nservice-worker: script\r\n", 403, "forbidden"),
        ("GET / HTTP/1.1\r\nsec-fetch-dest: script\r\n", 403, "forbidden"),
        ("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n", 400, "invalid_request"),
        ("TRACE / HTTP/1.1\r\n", 405, "method_not_allowed"),
        ("POST / HTTP/1.1\r\ncontent-length: 10\r\n", 413, "body_too_large"),
    ] {
        let mut client = hub.client().await;
        client.send(format!("{request}host: h\r\n\r\n")).await;
        let (head, body) = client.response().await;
        assert_eq!((status(&head), error_code(&body).as_str()), (expect_status, expect_code), "{request}");
    }
    assert_eq!(hub.dials(), 0);
}

#[tokio::test]
async fn an_undeclared_body_is_limited_too() {
    let hub = TestHub::start(ForwardLimits { request_body_bytes_max: 9, ..limits() }).await;
    let mut client = hub.client().await;
    client.send("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n").await;
    let mut instance = hub.accept().await;
    let (head, body) = client.response().await;
    assert_eq!((status(&head), error_code(&body).as_str()), (413, "body_too_large"));
    assert!(!instance.rest().await.ends_with(b"0\r\n\r\n"), "the instance must not take it for a whole body");
}

#[tokio::test]
async fn time_limits() {
    let hub = TestHub::start(ForwardLimits { first_byte: SHORT, idle: SHORT, ..limits() }).await;
    let mut client = hub.client().await;
    let (head, body) = client.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (504, "upstream_timeout"));
    let mut instance = hub.accept().await;
    instance.head().await;
    assert_eq!(instance.rest().await, b"", "the connection is closed, not kept");

    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send(format!("{CHUNKED}5\r\nfirst\r\n")).await;
    client.until("first").await;
    assert_eq!(client.rest().await, b"\r\n", "cut off without the last chunk");
    assert_eq!(instance.rest().await, b"");

    let hub =
        TestHub::with_dial(Arc::new(NeverDial), Arc::default(), ForwardLimits { connect: SHORT, ..limits() }).await;
    let (head, body) = hub.client().await.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (504, "upstream_timeout"));
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_instance() {
    let hub = TestHub::start(ForwardLimits { first_byte: SHORT, ..limits() }).await;
    let mut client = hub.client().await;
    client.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    // Together longer than the limit, each pause shorter.
    for byte in ["1", "2", "3", "4", "5", "6"] {
        tokio::time::sleep(SHORT / 2).await;
        client.send(byte).await;
        instance.until(byte).await;
    }
    instance.send(OK).await;
    assert_eq!(status(&client.response().await.0), 200);
}

#[tokio::test]
async fn an_event_stream_may_be_silent() {
    let hub = TestHub::start(ForwardLimits { idle: SHORT, ..limits() }).await;
    let mut client = hub.client().await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send("HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.head().await;
    tokio::time::sleep(SHORT * 2).await;
    instance.send("5\r\nevent\r\n0\r\n\r\n").await;
    client.until("event").await;
}

#[tokio::test]
async fn an_instance_that_is_away() {
    let hub = TestHub::start(limits()).await;
    hub.route.lock().state =
        RouteState::Unavailable { reason: "the instance is starting".into(), retry_after_ms: 2500 };
    let (head, body) = hub.client().await.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (503, "instance_unavailable"));
    assert_eq!(header(&head, "retry-after"), Some("3"));
    assert_eq!(header(&head, "x-request-id"), Some("r-1"));
    assert_eq!(hub.dials(), 0);

    {
        let mut route = hub.route.lock();
        route.state = RouteState::Ready;
        // Nobody listens on port 1 of this machine, and the driver's message must not come out.
        route.port = 1;
    }
    let (head, body) = hub.client().await.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (503, "instance_unavailable"));
    assert!(header(&head, "retry-after").is_some() && !body.contains("secret"), "{body}");
}

#[tokio::test]
async fn requests_per_instance_are_bounded() {
    let hub = TestHub::start(ForwardLimits { requests_per_instance_max: 1, ..limits() }).await;
    let mut first = hub.client().await;
    first.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    let (head, body) = hub.client().await.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (429, "rate_limited"));
    instance.send(OK).await;
    assert_eq!(status(&first.response().await.0), 200);
    settled(&hub).await;
    first.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    instance.head().await;
    instance.send(OK).await;
    assert_eq!(status(&first.response().await.0), 200);
}

#[tokio::test]
async fn drain_waits_for_answers_and_ends_event_streams() {
    let hub = TestHub::start(limits()).await;
    let (mut answer, mut events) = (hub.client().await, hub.client().await);
    answer.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut answering = hub.accept().await;
    answering.head().await;
    answering.send(format!("{CHUNKED}5\r\nfirst\r\n")).await;
    answer.until("first").await;
    events.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut streaming = hub.accept().await;
    streaming.head().await;
    streaming.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    events.head().await;

    let forwarder = hub.forwarder.clone();
    let drain = tokio::spawn(async move { forwarder.drain(Duration::from_secs(5)).await });
    assert_eq!(streaming.rest().await, b"");
    events.rest().await;
    let (head, body) = hub.client().await.get("/", "").await;
    assert_eq!((status(&head), error_code(&body).as_str()), (503, "shutting_down"));
    answering.send("6\r\nsecond\r\n0\r\n\r\n").await;
    answer.until("second\r\n0\r\n\r\n").await;
    assert_eq!(soon("the drain", drain).await.unwrap(), Active { requests: 0, sockets: 0 });
}

#[tokio::test]
async fn drain_cuts_what_does_not_end() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send(format!("{CHUNKED}5\r\nfirst\r\n")).await;
    client.until("first").await;
    assert_eq!(hub.forwarder.drain(SHORT).await, Active { requests: 1, sockets: 0 });
    assert_eq!(hub.forwarder.active(), Active { requests: 0, sockets: 0 });
    assert_eq!(client.rest().await, b"\r\n", "cut off without the last chunk");
    assert_eq!(instance.rest().await, b"");
}

#[tokio::test]
async fn answers_without_a_body_give_the_connection_back() {
    let hub = TestHub::start(limits()).await;
    let mut client = hub.client().await;
    client.send("HEAD / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut instance = hub.accept().await;
    instance.head().await;
    instance.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    assert_eq!(header(&client.head().await, "content-length"), Some("5"));
    settled(&hub).await;
    client.send("GET / HTTP/1.1\r\nhost: h\r\nif-none-match: \"e\"\r\n\r\n").await;
    instance.head().await;
    instance.send("HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 304);
    settled(&hub).await;
    assert_eq!(hub.dials(), 1);
}
