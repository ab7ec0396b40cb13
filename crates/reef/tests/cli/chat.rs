//! `reef chat`: nothing is printed twice and nothing is lost, whatever happens to the stream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::hub::{Answer, Asked, Hub, end, failure};

const STREAM: &str = "GET /api/instances/scout/chat/main/stream";
const SEND: &str = "POST /api/instances/scout/chat/main/messages";
const ABORT: &str = "POST /api/instances/scout/chat/main/abort";

type Events = Vec<(&'static str, Value)>;

fn item(id: &str, role: &str, text: &str, streaming: bool) -> Value {
    json!({ "id": id, "role": role, "text": text, "streaming": streaming, "at": null })
}

fn run(phase: &str) -> Value {
    json!({ "id": "run-1", "phase": phase, "message": (phase == "failed").then_some("the model refused") })
}

fn snapshot(items: &[Value], run: Value) -> (&'static str, Value) {
    ("snapshot", json!({ "cursor": "1", "items": items, "run": run }))
}

fn patch(item: Value) -> (&'static str, Value) {
    ("patch", json!({ "cursor": "2", "item": item }))
}

fn moves(phase: &str) -> (&'static str, Value) {
    ("patch", json!({ "cursor": "3", "run": run(phase) }))
}

/// A hub whose streams are, one after the other, these; the last stays open.
async fn hub(streams: Vec<Events>) -> Hub {
    let opened = AtomicUsize::new(0);
    Hub::start(move |asked| match asked.line().as_str() {
        STREAM => {
            let index = opened.fetch_add(1, Ordering::SeqCst);
            let events = streams.get(index).cloned().unwrap_or_default();
            if index + 1 == streams.len() { Answer::Open(events) } else { Answer::Events(events) }
        }
        _ => ordinary(asked),
    })
    .await
}

fn ordinary(asked: &Asked) -> Answer {
    match asked.line().as_str() {
        "GET /api/instances/scout" => Answer::Json(200, json!({ "name": "scout", "phase": "running" })),
        SEND => Answer::Json(202, json!({ "runId": "run-1" })),
        ABORT => Answer::Json(204, Value::Null),
        _ => failure(404, "not_found"),
    }
}

#[tokio::test]
async fn an_answer_streams_to_stdout() {
    let earlier = [item("u0", "user", "hi", false), item("a0", "assistant", "earlier", false)];
    let hub = hub(vec![vec![
        snapshot(&earlier, Value::Null),
        moves("answering"),
        patch(item("u1", "user", "hello", false)),
        patch(item("t1", "thinking", "let me see", false)),
        patch(item("a1", "assistant", "Good ", true)),
        patch(item("a1", "assistant", "Good day", false)),
        moves("done"),
    ]])
    .await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "Good day\n", ""));
    assert_eq!(
        hub.lines(),
        ["GET /api/instances/scout", STREAM, SEND],
        "the stream is open before the message is sent"
    );
    let sent = &hub.asked()[2];
    assert_eq!(sent.body, json!({ "text": "hello" }));
    assert!(sent.headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn a_restart_of_the_hub_in_the_middle_doubles_and_loses_nothing() {
    let question = || item("u1", "user", "hello", false);
    let hub = hub(vec![
        vec![snapshot(&[], Value::Null), patch(question()), patch(item("a1", "assistant", "one two", true))],
        vec![
            snapshot(&[question(), item("a1", "assistant", "one two three", true)], run("answering")),
            patch(item("a1", "assistant", "one two three four", true)),
        ],
        // The agent's history has other ids than its live events.
        vec![snapshot(
            &[item("h1", "user", "hello", false), item("h2", "assistant", "one two three four five", false)],
            run("done"),
        )],
    ])
    .await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "one two three four five\n"), "{}", ended.stderr);
    assert_eq!(hub.lines().iter().filter(|line| *line == SEND).count(), 1, "the message is sent once");
}

#[tokio::test]
async fn a_run_that_the_new_hub_does_not_know_is_over_when_it_is_answered() {
    let whole = [item("u1", "user", "hello", false), item("a1", "assistant", "one two", false)];
    let hub = hub(vec![
        vec![snapshot(&[], Value::Null), patch(item("a1", "assistant", "one", true))],
        vec![snapshot(&whole, Value::Null)],
    ])
    .await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "one two\n"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_message_is_sent_again_under_the_same_key() {
    let refusals = AtomicUsize::new(2);
    let hub = Hub::start(move |asked| match asked.line().as_str() {
        STREAM => {
            Answer::Open(vec![snapshot(&[], Value::Null), patch(item("a1", "assistant", "here", false)), moves("done")])
        }
        SEND if refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() => {
            failure(503, "instance_unavailable")
        }
        _ => ordinary(asked),
    })
    .await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "here\n"), "{}", ended.stderr);
    let keys: Vec<_> = hub
        .asked()
        .iter()
        .filter(|asked| asked.line() == SEND)
        .map(|asked| asked.headers["idempotency-key"].clone())
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn the_exit_code_tells_how_the_run_ended() {
    for (events, code, stdout, stderr) in [
        (vec![moves("failed")], 1, "", "reef: the model refused\n"),
        (
            vec![patch(item("a1", "assistant", "half", true)), moves("aborted")],
            1,
            "half\n",
            "reef: the run was aborted\n",
        ),
        (vec![moves("done"), patch(item("a1", "assistant", "late", false))], 0, "late\n", ""),
    ] {
        let mut stream = vec![snapshot(&[], Value::Null)];
        stream.extend(events);
        let ended = hub(vec![stream]).await.reef(&["chat", "scout", "hello"]).await;
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (code, stdout, stderr));
    }
}

#[tokio::test]
async fn the_answer_to_somebody_else_is_not_ours() {
    let other = |phase: &str| json!({ "id": "run-0", "phase": phase, "message": null });
    let hub = hub(vec![vec![
        snapshot(&[item("u0", "user", "theirs", false)], other("answering")),
        patch(item("a0", "assistant", "for them", true)),
        ("patch", json!({ "cursor": "3", "run": other("done") })),
        patch(item("a0", "assistant", "for them alone", false)),
        moves("answering"),
        patch(item("a1", "assistant", "for us", false)),
        moves("done"),
    ]])
    .await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "for us\n"), "{}", ended.stderr);
}

#[tokio::test]
async fn json_is_one_finished_item_a_line() {
    let hub = hub(vec![vec![
        snapshot(&[], Value::Null),
        patch(item("u1", "user", "hello", false)),
        patch(item("a1", "assistant", "Good ", true)),
        patch(item("a1", "assistant", "Good day", false)),
        moves("done"),
    ]])
    .await;
    let ended = hub.reef_with_input(&["chat", "scout", "--json"], "hello\n").await;
    let items: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items, [item("u1", "user", "hello", false), item("a1", "assistant", "Good day", false)]);
    assert_eq!(hub.asked()[2].body, json!({ "text": "hello" }));
}

#[tokio::test]
async fn an_interrupt_aborts_the_run() {
    let aborted = Arc::new(AtomicUsize::new(0));
    let seen = aborted.clone();
    let hub = Hub::start(move |asked| match asked.line().as_str() {
        STREAM if seen.load(Ordering::SeqCst) == 0 => {
            Answer::Open(vec![snapshot(&[], Value::Null), patch(item("a1", "assistant", "endless", true))])
        }
        STREAM => Answer::Open(vec![snapshot(&[item("a1", "assistant", "endless", false)], run("aborted"))]),
        ABORT => {
            seen.fetch_add(1, Ordering::SeqCst);
            Answer::Json(204, Value::Null)
        }
        _ => ordinary(asked),
    })
    .await;
    let mut child = hub.spawn(&["chat", "scout", "hello"]);
    let mut first = [0; 7];
    let stdout = child.stdout.as_mut().unwrap();
    tokio::io::AsyncReadExt::read_exact(stdout, &mut first).await.unwrap();
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ended = end(child).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (1, "\n", "reef: aborted\n"));
    assert_eq!(aborted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_waits_for_an_instance_that_is_down() {
    let hub = Hub::start(|_| Answer::Json(200, json!({ "name": "scout", "phase": "stopped" }))).await;
    let ended = hub.reef(&["chat", "scout", "hello"]).await;
    assert_eq!(ended.code, 5);
    assert!(ended.stderr.contains("reef start scout"), "{}", ended.stderr);
    assert_eq!(hub.lines(), ["GET /api/instances/scout"]);
}

#[tokio::test]
async fn a_session_key_is_one_segment_of_the_path() {
    let hub = Hub::start(|asked| match asked.line().as_str() {
        "GET /api/instances/scout" => ordinary(asked),
        _ => failure(404, "not_found"),
    })
    .await;
    assert_eq!(hub.reef(&["chat", "scout", "hello", "--session", "agent:main/../x"]).await.code, 3);
    assert_eq!(hub.lines()[1], "GET /api/instances/scout/chat/agent%3Amain%2F..%2Fx/stream");
}
