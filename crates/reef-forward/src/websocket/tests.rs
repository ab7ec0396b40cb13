use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::{
    frame::{CloseFrame, Frame, From, Opcode, decode, encode},
    *,
};
use crate::{
    Active, ForwardLimits, RouteState,
    testing::{TestHub, Wire, error_code, header, soon, status},
};

const SHORT: Duration = Duration::from_millis(150);
/// Key and accept value of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: Option<[u8; 4]> = Some([9, 8, 7, 6]);

fn limits() -> ForwardLimits {
    ForwardLimits::default()
}

fn upgrade_request() -> String {
    format!(
        "GET /ws?instanceId=a HTTP/1.1\r\nhost: hub\r\norigin: http://hub\r\ncookie: reef_session=s; x=y\r\n\
         connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-extensions: permessage-deflate\r\nsec-websocket-key: {KEY}\r\n\r\n"
    )
}

/// One frame from the wire.
async fn frame(wire: &mut Wire, from: From) -> Option<Frame> {
    loop {
        let mut buf = BytesMut::from(&wire.read[..]);
        if let Some(frame) = decode(&mut buf, from, usize::MAX).unwrap() {
            wire.read = buf.to_vec();
            return Some(frame);
        }
        if soon("a frame", wire.stream.read_buf(&mut wire.read)).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn text(wire: &mut Wire, from: From) -> String {
    let frame = frame(wire, from).await.expect("closed without a message");
    assert_eq!((frame.fin, frame.opcode), (true, Opcode::Text));
    String::from_utf8(frame.payload.to_vec()).unwrap()
}

/// What the client is closed with; then nothing more may come.
async fn closed(client: &mut Wire) -> (u16, String) {
    let frame = frame(client, From::Upstream).await.expect("closed without a closing frame");
    assert_eq!(frame.opcode, Opcode::Close);
    let close = CloseFrame::decode(frame.payload);
    assert_eq!(client.rest().await, b"");
    (close.code, close.reason)
}

fn from_client(text: &str) -> Bytes {
    encode(Opcode::Text, text.as_bytes(), MASK)
}

fn from_instance(text: &str) -> Bytes {
    encode(Opcode::Text, text.as_bytes(), None)
}

/// Both ends after the upgrade, before the first message.
async fn upgraded(hub: &TestHub) -> (Wire, Wire) {
    let mut client = hub.client().await;
    client.send(upgrade_request()).await;
    let mut instance = hub.accept().await;
    let head = instance.head().await;
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    lines.sort_unstable();
    let (host, key) = (format!("host: 127.0.0.1:{}", hub.route.lock().port), format!("sec-websocket-key: {KEY}"));
    // No origin, cookie or extension of the client's.
    let key = key.to_ascii_lowercase();
    assert_eq!(
        lines,
        ["connection: upgrade", "get / http/1.1", &host, &key, "sec-websocket-version: 13", "upgrade: websocket"]
    );
    instance.send(switching(ACCEPT)).await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(status(&head), 101);
    assert!(head.contains(ACCEPT) && !head.contains("extensions"), "{head}");
    (client, instance)
}

fn switching(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    )
}

/// Both ends after the handshake.
async fn connected(hub: &TestHub) -> (Wire, Wire) {
    let (mut client, mut instance) = upgraded(hub).await;
    instance.send(from_instance("challenge")).await;
    assert_eq!(text(&mut client, From::Upstream).await, "seen challenge");
    client.send(from_client("connect with my own token")).await;
    assert_eq!(text(&mut instance, From::Client).await, "connect with the hub's token");
    instance.send(from_instance("hello, your secret")).await;
    assert_eq!(text(&mut client, From::Upstream).await, "hello, your ***");
    (client, instance)
}

async fn no_sockets_left(hub: &TestHub) {
    soon("the end of the socket", async {
        while hub.forwarder.active().sockets != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn after_the_handshake_bytes_pass_both_ways() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = connected(&hub).await;
    assert_eq!(hub.forwarder.active(), Active { requests: 0, sockets: 1 });
    let large = "x".repeat(1 << 20);
    for message in ["a", "", &large] {
        let (down, up) = (from_instance(message), from_client(message));
        let (sent, got) = tokio::join!(instance.send(&down), text(&mut client, From::Upstream));
        assert_eq!((sent, got.as_str()), ((), message));
        let (sent, got) = tokio::join!(client.send(&up), text(&mut instance, From::Client));
        assert_eq!((sent, got.as_str()), ((), message));
    }
    instance.send(CloseFrame::new(4001, "credentials rotated").encode()).await;
    drop(instance);
    assert_eq!(closed(&mut client).await, (4001, "credentials rotated".to_owned()));
    drop(client);
    no_sockets_left(&hub).await;
}

#[tokio::test]
async fn what_is_sent_early_is_not_lost() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = upgraded(&hub).await;
    // The client does not wait for anything, the instance puts an event right behind its answer.
    client.send([from_client("connect"), from_client("first request")].concat()).await;
    instance.send(from_instance("challenge")).await;
    assert_eq!(text(&mut client, From::Upstream).await, "seen challenge");
    assert_eq!(text(&mut instance, From::Client).await, "connect with the hub's token");
    instance.send([from_instance("answer"), from_instance("event")].concat()).await;
    assert_eq!(text(&mut client, From::Upstream).await, "answer");
    assert_eq!(text(&mut client, From::Upstream).await, "event");
    assert_eq!(text(&mut instance, From::Client).await, "first request");
}

#[tokio::test]
async fn without_a_credential_the_connection_fails_at_once() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(from_instance("challenge")).await;
    text(&mut client, From::Upstream).await;
    client.send(from_client("bad connect with my own token")).await;
    assert_eq!(closed(&mut client).await, (1008, "no credential for this instance".to_owned()));
    drop(client);
    assert_eq!(instance.rest().await, b"", "neither the client's token nor anything else reaches the instance");
    no_sockets_left(&hub).await;
}

#[tokio::test]
async fn fragments_and_pings_in_the_handshake() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(encode(Opcode::Ping, b"1", None)).await;
    let pong = frame(&mut instance, From::Client).await.unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (Opcode::Pong, &b"1"[..]));
    // "chal" + ping + "lenge": a control frame may stand between fragments.
    let mut part = encode(Opcode::Text, b"chal", None).to_vec();
    part[0] &= 0x7f;
    instance
        .send([&part[..], &encode(Opcode::Ping, b"2", None), &encode(Opcode::Continuation, b"lenge", None)].concat())
        .await;
    assert_eq!(frame(&mut instance, From::Client).await.unwrap().opcode, Opcode::Pong);
    assert_eq!(text(&mut client, From::Upstream).await, "seen challenge");
    client.send(encode(Opcode::Ping, b"3", MASK)).await;
    assert_eq!(frame(&mut client, From::Upstream).await.unwrap().opcode, Opcode::Pong);
    client.send(encode(Opcode::Pong, b"", MASK)).await;
    client.send(from_client("connect")).await;
    text(&mut instance, From::Client).await;
    instance.send(from_instance("answer")).await;
    assert_eq!(text(&mut client, From::Upstream).await, "answer");
}

#[tokio::test]
async fn a_large_answer_passes_and_a_large_connect_does_not() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(from_instance("challenge")).await;
    text(&mut client, From::Upstream).await;
    client.send(from_client("connect")).await;
    text(&mut instance, From::Client).await;
    let answer = "a".repeat(2 << 20);
    let wire = from_instance(&answer);
    let ((), got) = tokio::join!(instance.send(&wire), text(&mut client, From::Upstream));
    assert_eq!(got.len(), answer.len());

    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(from_instance("challenge")).await;
    text(&mut client, From::Upstream).await;
    client.send(&from_client(&"c".repeat((64 << 10) + 1))[..14]).await;
    assert_eq!(closed(&mut client).await.0, 1009);
}

#[tokio::test]
async fn breaches_of_the_protocol_in_the_handshake() {
    let mut part = encode(Opcode::Text, b"a", MASK).to_vec();
    part[0] &= 0x7f;
    let rows: [(Vec<u8>, u16); 6] = [
        (from_instance("not masked").to_vec(), 1002),
        (encode(Opcode::Continuation, b"x", MASK).to_vec(), 1002),
        ([&part[..], &from_client("b")].concat(), 1002),
        (encode(Opcode::Binary, b"x", MASK).to_vec(), 1003),
        (encode(Opcode::Text, b"\xff", MASK).to_vec(), 1007),
        (encode(Opcode::Close, &4000u16.to_be_bytes(), MASK).to_vec(), 4000),
    ];
    for (wire, expect) in rows {
        let hub = TestHub::start(limits()).await;
        let (mut client, mut instance) = upgraded(&hub).await;
        instance.send(from_instance("challenge")).await;
        text(&mut client, From::Upstream).await;
        client.send(&wire).await;
        assert_eq!(closed(&mut client).await.0, expect, "{wire:x?}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up() {
    let hub = TestHub::start(ForwardLimits { handshake: SHORT, ..limits() }).await;
    let (mut client, instance) = upgraded(&hub).await;
    assert_eq!(closed(&mut client).await.0, 1013, "the instance is silent");
    drop((client, instance));

    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(from_instance("challenge")).await;
    text(&mut client, From::Upstream).await;
    assert_eq!(closed(&mut client).await.0, 1008, "the client is silent");
    drop(client);
    assert_eq!(instance.rest().await, b"");
    no_sockets_left(&hub).await;
}

#[tokio::test]
async fn the_instance_ends_the_handshake() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = upgraded(&hub).await;
    instance.send(CloseFrame::new(1013, "starting").encode()).await;
    assert_eq!(closed(&mut client).await, (1013, "starting".to_owned()));
    let (mut client, instance) = upgraded(&hub).await;
    drop(instance);
    assert_eq!(closed(&mut client).await.0, 1013);
}

#[tokio::test]
async fn an_instance_that_dies_is_told_apart_from_a_network_failure() {
    let hub = TestHub::start(limits()).await;
    let (mut client, instance) = connected(&hub).await;
    drop(instance);
    assert_eq!(closed(&mut client).await.0, 1013);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_by_the_instance() {
    let hub = TestHub::start(limits()).await;
    let (client, mut instance) = connected(&hub).await;
    drop(client);
    assert_eq!(instance.rest().await, b"");
    drop(instance);
    no_sockets_left(&hub).await;
}

#[tokio::test]
async fn a_withdrawn_right_ends_the_connection() {
    for (reason, expect) in [(Revocation::SessionEnded, 4401), (Revocation::RightWithdrawn, 4403)] {
        let hub = TestHub::start(limits()).await;
        let (mut client, mut instance) = connected(&hub).await;
        hub.revoke.send(Some(reason)).unwrap();
        assert_eq!(closed(&mut client).await.0, expect);
        drop(client);
        assert_eq!(instance.rest().await, b"");
    }
}

#[tokio::test]
async fn a_right_withdrawn_before_or_during_the_handshake_counts() {
    let hub = TestHub::start(limits()).await;
    let (mut client, _instance) = upgraded(&hub).await;
    hub.revoke.send(Some(Revocation::SessionEnded)).unwrap();
    assert_eq!(closed(&mut client).await.0, 4401);
    let (mut client, _instance) = upgraded(&hub).await;
    assert_eq!(closed(&mut client).await.0, 4401);
}

#[tokio::test]
async fn no_frame_is_put_into_another() {
    let hub = TestHub::start(limits()).await;
    let (mut client, mut instance) = connected(&hub).await;
    let message = from_instance("a message of which the end never comes");
    instance.send(&message[..10]).await;
    client.until("a messag").await;
    hub.revoke.send(Some(Revocation::SessionEnded)).unwrap();
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn drain_says_that_the_hub_restarts() {
    let hub = TestHub::start(limits()).await;
    let (mut client, _instance) = connected(&hub).await;
    let forwarder = hub.forwarder.clone();
    let drain = tokio::spawn(async move { forwarder.drain(Duration::from_secs(5)).await });
    assert_eq!(closed(&mut client).await.0, 1012);
    drop(client);
    assert_eq!(soon("the drain", drain).await.unwrap(), Active { requests: 0, sockets: 0 });
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let hub = TestHub::start(ForwardLimits { stall: SHORT, ..limits() }).await;
    let (_client, mut instance) = connected(&hub).await;
    let chunk = encode(Opcode::Binary, &vec![0; 1 << 20], None);
    // Until every buffer in between is full and the hub gives up.
    soon("the hub to give up", async {
        while tokio::io::AsyncWriteExt::write_all(&mut instance.stream, &chunk).await.is_ok() {}
    })
    .await;
    drop(instance);
    no_sockets_left(&hub).await;
}

#[tokio::test]
async fn sockets_per_instance_are_bounded() {
    let hub = TestHub::start(ForwardLimits { sockets_per_instance_max: 1, ..limits() }).await;
    let first = connected(&hub).await;
    let mut second = hub.client().await;
    second.send(upgrade_request()).await;
    let (head, body) = second.response().await;
    assert_eq!((status(&head), error_code(&body).as_str()), (429, "rate_limited"));
    drop(first);
    no_sockets_left(&hub).await;
    connected(&hub).await;
}

#[tokio::test]
async fn what_is_not_an_upgrade_is_refused_before_the_instance_is_asked() {
    let hub = TestHub::start(limits()).await;
    let good = upgrade_request();
    for (from, to, expect_status) in [
        ("GET", "POST", 400),
        ("upgrade: WebSocket\r\n", "", 400),
        ("upgrade: WebSocket", "upgrade: h2c", 400),
        ("connection: keep-alive, Upgrade\r\n", "", 400),
        ("version: 13", "version: 12", 426),
        ("sec-websocket-version: 13\r\n", "", 426),
        (KEY, "short", 400),
        (KEY, "", 400),
        ("sec-websocket-key", "sec-websocket-key: x\r\nsec-websocket-key", 400),
    ] {
        let mut client = hub.client().await;
        client.send(good.replacen(from, to, 1)).await;
        let (head, body) = client.response().await;
        assert_eq!((status(&head), error_code(&body).as_str()), (expect_status, "invalid_request"), "{from} -> {to}");
        assert_eq!(header(&head, "sec-websocket-version"), (expect_status == 426).then_some("13"));
    }
    assert_eq!(hub.dials(), 0);
}

#[tokio::test]
async fn an_instance_that_refuses_the_upgrade() {
    let hub = TestHub::start(limits()).await;
    for (answer, expect) in [
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned(), (502, "upstream_failed")),
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(), (503, "instance_unavailable")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(), (502, "upstream_failed")),
        (switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), (502, "upstream_failed")),
        (String::new(), (502, "upstream_failed")),
    ] {
        let mut client = hub.client().await;
        client.send(upgrade_request()).await;
        let mut instance = hub.accept().await;
        instance.head().await;
        instance.send(&answer).await;
        drop(instance);
        let (head, body) = client.response().await;
        assert_eq!((status(&head), error_code(&body).as_str()), expect, "{answer}");
    }
    hub.route.lock().state = RouteState::Unavailable { reason: "stopped".into(), retry_after_ms: 1 };
    let mut client = hub.client().await;
    client.send(upgrade_request()).await;
    let (head, body) = client.response().await;
    assert_eq!((status(&head), error_code(&body).as_str()), (503, "instance_unavailable"));
}
