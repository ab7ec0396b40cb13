//! Clients that are slow, large, half gone or gone.

use std::time::Duration;

use reef_server::ListenerLimits;
use reef_testkit::{Client, FakeGateway, PATIENCE, Settings, TestHub};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Shorter than a test's patience, longer than a busy machine needs for a request.
const SHORT: Duration = Duration::from_millis(700);

async fn impatient() -> (TestHub, Client) {
    let limits =
        ListenerLimits { head_timeout: SHORT, body_timeout: SHORT, stall_timeout: SHORT, ..ListenerLimits::default() };
    TestHub::owned_with(Settings { limits, ..Settings::default() }).await
}

/// Waits for the hub to close the connection; returns what came until then.
async fn closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_sends_no_whole_head_is_cut_off() {
    let (hub, client) = impatient().await;
    for sent in ["", "G", "GET / HTTP/1.1\r\n", &client.head("GET", "/health")] {
        let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let answer = closed(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{sent:?}: {answer}");
    }
    // A byte now and then is no way around it.
    let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
    let started = tokio::time::Instant::now();
    while stream.write_all(b"G").await.is_ok() {
        assert!(started.elapsed() < PATIENCE, "it is never cut off");
        tokio::time::sleep(SHORT / 7).await;
    }
    // And between two requests.
    let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
    stream.write_all(format!("{}\r\n", client.head("GET", "/health")).as_bytes()).await.expect("sent");
    let answer = closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn who_sends_no_whole_body_is_cut_off() {
    let (hub, client) = impatient().await;
    for (path, sender) in
        [("/api/auth/login", hub.anonymous()), ("/api/setup", hub.anonymous()), ("/api/tokens", client)]
    {
        let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
        let head = sender.with("content-type", "application/json").head("POST", path);
        stream.write_all(format!("{head}content-length: 100\r\n\r\n{{\"name\":").as_bytes()).await.expect("sent");
        let answer = closed(stream).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("did not arrive"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn who_takes_nothing_of_the_answer_is_cut_off() {
    let (hub, client) = impatient().await;
    let gateway = FakeGateway::start().await;
    hub.driver.route(None, 18_000, gateway.addr);
    hub.create(&client, "scout").await;
    let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
    let head = client.head("GET", "/api/instances/scout/proxy/endless");
    stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
    let mut some = [0; 1];
    stream.read_exact(&mut some).await.expect("it begins");
    gone(&gateway).await;
}

/// Waits until the hub has let go of the instance.
async fn gone(gateway: &FakeGateway) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while gateway.open_connections() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the hub holds on to the instance");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_along() {
    let (hub, client) = TestHub::owned().await;
    let gateway = FakeGateway::start().await;
    hub.driver.route(None, 18_000, gateway.addr);
    hub.create(&client, "scout").await;
    let head = client.head("GET", "/api/instances/scout/proxy/endless");
    for half in [false, true] {
        let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
        stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
        let mut some = [0; 1];
        stream.read_exact(&mut some).await.expect("it begins");
        assert!(gateway.open_connections() > 0);
        if half {
            // A half-closed connection is a closed one: nobody tells the hub when the other half goes.
            stream.shutdown().await.expect("half closed");
            gone(&gateway).await;
            closed(stream).await;
        } else {
            drop(stream);
            gone(&gateway).await;
        }
    }
    // Event streams end the same way, and nothing of them is left to slow the others down.
    for _ in 0..50 {
        drop(client.events("/api/events").await);
    }
    assert_eq!(client.get("/api/instances").await.status, 200);
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let (hub, client) = TestHub::owned().await;
    let large = format!("{}x-large: {}\r\n\r\n", client.head("GET", "/health"), "a".repeat(100 << 10));
    let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    let many = format!("{}{many}\r\n", client.head("GET", "/health"));
    let long = format!("{}\r\n", client.head("GET", &format!("/{}", "a".repeat(100 << 10))));
    for (what, request, expect) in
        [("a header", large, &["431"][..]), ("headers", many, &["431"]), ("a path", long, &["414", "431"])]
    {
        let answer = client.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(expect.contains(&status), "{what}: {answer}");
    }
    for junk in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/3.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(hub.addr).await.expect("the hub listens");
        stream.write_all(junk.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let answer = closed(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{junk:?}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_two_readers_read_differently_are_refused() {
    let (hub, client) = TestHub::owned().await;
    let closing = client.clone().with("connection", "close");
    let head = closing.with("content-type", "application/json").head("POST", "/api/tokens");
    for (what, rest) in [
        ("two lengths", "content-length: 2\r\ncontent-length: 20\r\n\r\n{}"),
        ("a length that is none", "content-length: +2\r\n\r\n{}"),
        ("another coding", "transfer-encoding: gzip\r\n\r\n{}"),
        ("chunked and more", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("a space before the colon", "x-a : b\r\ncontent-length: 2\r\n\r\n{}"),
        ("a folded header", "x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}"),
    ] {
        let answer = client.raw(format!("{head}{rest}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: {answer}");
    }
    let two_hosts =
        format!("{}host: evil.example\r\n\r\n", hub.anonymous().with("connection", "close").head("GET", "/health"));
    let answer = client.raw(two_hosts.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let elsewhere = hub.anonymous().with("connection", "close");
    for (target, status) in
        [("http://evil.example/health".to_owned(), 400), (format!("http://{}/health", hub.addr), 200)]
    {
        let answer = client.raw(format!("{}\r\n", elsewhere.head("GET", &target)).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {answer}");
    }
}

#[tokio::test]
async fn a_full_listener_still_ends() {
    let limits = ListenerLimits { connections_max: 2, ..ListenerLimits::default() };
    let (hub, client) = TestHub::owned_with(Settings { limits, ..Settings::default() }).await;
    let streams = (client.events("/api/events").await, client.events("/api/events").await);
    // Waits for a slot, and the listener with it.
    let third = tokio::spawn({
        let client = client.clone();
        async move { client.raw(format!("{}\r\n", client.head("GET", "/health")).as_bytes()).await }
    });
    let fourth = TcpStream::connect(hub.addr).await.expect("the kernel takes it");
    let hub = timeout(PATIENCE, hub.restart()).await.expect("the hub ends");
    drop((streams, fourth));
    let _ = third.await.expect("no panic");
    let client = client.at(hub.addr);
    assert_eq!(client.post("/api/instances", json!({ "name": "scout" })).await.status, 202);
}
