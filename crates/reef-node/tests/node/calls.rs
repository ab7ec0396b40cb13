//! Who is answered, what is answered, and how a call ends.

use futures_util::{StreamExt, stream};
use reef_driver::{
    DriverError, DriverEvent, LogQuery, Reason, VersionStore,
    testkit::{Failure, FakeDriver, Program, Verb},
};
use reef_node::{
    NodeClient,
    wire::{Hello, NodeHello, PROTOCOL, STREAMS_MAX},
};
use reef_types::InstanceId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::fixture::{Node, PATIENCE, until, workload};

async fn send(stream: &mut UnixStream, body: &str) {
    stream.write_u32(u32::try_from(body.len()).unwrap()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
}

async fn receive(stream: &mut UnixStream) -> String {
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

fn hello(protocol: u32) -> String {
    serde_json::to_string(&Hello { protocol, build: "9.9.9".to_owned() }).unwrap()
}

#[tokio::test]
async fn the_greeting_names_the_node_and_its_drivers() {
    let node = Node::start();
    let hello = node.client.hello().await.unwrap();
    assert_eq!((hello.protocol, hello.pid), (PROTOCOL, std::process::id()));
    assert_eq!(hello.drivers, ["fake"]);
    assert!(node.remote().fingerprint().await.unwrap().usable);
}

#[tokio::test]
async fn another_protocol_is_turned_away_with_what_to_do() {
    let node = Node::start();
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    send(&mut stream, &hello(PROTOCOL + 1)).await;
    let answer: NodeHello = serde_json::from_str(&receive(&mut stream).await).unwrap();
    let refusal = answer.refusal.unwrap();
    assert_eq!(refusal.reason, Reason::Unavailable);
    assert!(refusal.message.contains("9.9.9") && refusal.message.contains("restart both"), "{refusal}");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_node_of_another_protocol_is_reported_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        receive(&mut stream).await;
        send(&mut stream, &hello(PROTOCOL + 1)).await;
        // Keeps the connection open until the hub has decided.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let err = NodeClient::new(&socket).driver("fake").inventory().await.unwrap_err();
    assert_eq!(err.reason, Reason::Unavailable);
    assert!(err.message.contains("restart both"), "{err}");
    answer.await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_verb_is_refused_without_repeating_it() {
    let node = Node::start();
    for body in [
        r#"{"verb":"exec","argv":["s3cret-marker"]}"#,
        r#"{"verb":"inventory","driver":"fake","s3cret-marker":1}"#,
        r#""s3cret-marker"#,
    ] {
        let mut stream = UnixStream::connect(node.socket()).await.unwrap();
        send(&mut stream, &hello(PROTOCOL)).await;
        send(&mut stream, body).await;
        receive(&mut stream).await;
        let answer = receive(&mut stream).await;
        assert!(answer.contains(r#""reason":"invalid""#) && !answer.contains("s3cret"), "{answer}");
    }
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0, 0, 0, 2, b'{'], &[]] {
        let mut stream = UnixStream::connect(node.socket()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        // It may be cut with a reset, since the node does not read on; what counts is that it is cut.
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the node keeps a dead connection: {garbage:?}");
    }
    node.client.hello().await.unwrap();
}

#[tokio::test]
async fn an_absent_node_and_an_unknown_driver_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let away = NodeClient::new(dir.path().join("none.sock"));
    let err = away.driver("fake").inventory().await.unwrap_err();
    assert_eq!(err.reason, Reason::Unavailable);
    assert!(err.message.contains("reef node"), "{err}");
    assert_eq!(away.versions().await.unwrap_err().reason, Reason::Unavailable);
    let lines =
        away.driver("fake").logs(InstanceId::new(), LogQuery { tail: 1, follow: true }).collect::<Vec<_>>().await;
    assert!(matches!(lines.as_slice(), [Err(err)] if err.reason == Reason::Unavailable), "{lines:?}");

    let node = Node::start();
    let err = node.client.driver("docker").inventory().await.unwrap_err();
    assert_eq!(err.reason, Reason::NotFound);
    assert!(err.message.contains("it has: fake"), "{err}");
}

#[tokio::test]
async fn a_drivers_own_error_comes_through_unchanged() {
    let node = Node::start();
    let error = DriverError::new(Reason::Exhausted, "no pids left");
    node.driver.fail(Failure::Refuse { verb: Verb::Inventory, error: error.clone() });
    assert_eq!(node.remote().inventory().await.unwrap_err(), error);
}

#[tokio::test]
async fn a_workload_too_large_for_a_frame_is_refused_here() {
    let node = Node::start();
    let mut large = workload(&Program::Idle, &[]);
    large.argv.push("x".repeat(reef_node::wire::FRAME_BYTES_MAX));
    assert_eq!(node.remote().prepare(&large).await.unwrap_err().reason, Reason::Invalid);
    assert!(node.driver.calls().iter().all(|call| call.verb != Verb::Prepare));
}

#[tokio::test]
async fn a_large_workload_comes_through() {
    let node = Node::start();
    let mut large = workload(&Program::Idle, &[]);
    let content = "ü".repeat(2 << 20);
    large.files = serde_json::from_value(serde_json::json!([
        { "path": "/reef/state/large", "content": content, "overwrite": true }
    ]))
    .unwrap();
    node.remote().prepare(&large).await.unwrap();
    assert_eq!(node.driver.file(large.id, "/reef/state/large"), Some(content));
}

#[tokio::test]
async fn giving_up_a_call_gives_up_the_verb() {
    let mut node = Node::start();
    node.driver.fail(Failure::Hang { verb: Verb::Observe });
    let remote = node.remote();
    let id = InstanceId::new();
    let call = tokio::spawn(async move { remote.observe(id).await });
    until("the verb hangs", async || node.driver.calls().iter().any(|call| call.verb == Verb::Observe)).await;
    call.abort();
    // The node waits for calls that run when it stops; a hanging one would take it to its time limit.
    let stopped = timeout(reef_node::wire::DRAIN_TIME_MAX / 2, node.stop()).await;
    assert!(stopped.is_ok(), "the verb still hangs in the node");
}

#[tokio::test]
async fn many_streams_do_not_keep_short_calls_out() {
    let node = Node::start();
    let remote = node.remote();
    let streams: Vec<_> = stream::iter(0..STREAMS_MAX)
        .then(|_| async {
            let mut events = remote.events();
            assert_eq!(events.next().await, Some(DriverEvent::Resync));
            events
        })
        .collect()
        .await;
    let known = workload(&Program::Idle, &[]);
    remote.prepare(&known).await.unwrap();
    let mut logs = remote.logs(known.id, LogQuery { tail: 1, follow: true });
    assert_eq!(logs.next().await.unwrap().unwrap_err().reason, Reason::Exhausted);
    assert_eq!(remote.inventory().await.unwrap().len(), 1);
    drop(streams);
    until("a closed stream frees its place", async || {
        let logs = remote.logs(known.id, LogQuery { tail: 1, follow: false });
        logs.collect::<Vec<_>>().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn many_dials_at_once_all_connect() {
    let node = Node::with(FakeDriver::default().without_sockets());
    let remote = node.remote();
    let echo = workload(&Program::Echo { port: 80 }, &[]);
    remote.prepare(&echo).await.unwrap();
    remote.start(&echo).await.unwrap();
    until("the port answers", async || remote.dial(echo.id, 80).await.is_ok()).await;
    let dials: Vec<_> = (0..2 * reef_node::wire::CALLS_MAX)
        .map(|_| {
            let remote = node.remote();
            tokio::spawn(async move { remote.dial(echo.id, 80).await.map(|_| ()) })
        })
        .collect();
    for dial in dials {
        dial.await.unwrap().unwrap();
    }
}
