//! A language model that answers without thinking: `slow: <n>` many words, `tool: <command>` a call of `exec`,
//! `fail: <status>` a failure, and anything else an echo.

use std::{convert::Infallible, time::Duration};

use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle, time::sleep};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// Pause between two pieces of an answer.
const PIECE_PAUSE: Duration = Duration::from_millis(20);

/// The same for slow answers.
const SLOW_PIECE_PAUSE: Duration = Duration::from_millis(100);

/// Pieces that may wait for the client.
const PIECES_MAX: usize = 64;

pub(super) struct Model {
    port: u16,
    task: AbortHandle,
}

impl Model {
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn start() -> Model {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that leaves in the middle of an answer is what aborting looks like.
            tokio::spawn(async move { drop(serving.await) });
        }
    });
    Model { port, task: task.abort_handle() }
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (words, is_result) = last_words(&body);
    let (pieces, response) = mpsc::channel(PIECES_MAX);
    let mut status = 200;
    match words.split_once(": ") {
        Some(("fail", code)) => {
            status = code.trim().parse().expect("a status");
            let _ = pieces.try_send(json!({"error": {"message": "mock failure"}}).to_string());
        }
        Some(("tool", command)) if !is_result => drop(tokio::spawn(call(pieces, command.to_owned()))),
        _ => drop(tokio::spawn(say(pieces, words, is_result))),
    }
    let frames = ReceiverStream::new(response).map(|piece| Ok(Frame::data(Bytes::from(piece))));
    let kind = if status == 200 { "text/event-stream" } else { "application/json" };
    let response = Response::builder().status(status).header("content-type", kind);
    Ok(response.body(BodyExt::boxed(StreamBody::new(frames))).expect("a valid head"))
}

/// The user's last words without what the gateway adds, or the last tool's output.
fn last_words(body: &Value) -> (String, bool) {
    let text = |message: &Value| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
    };
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = messages.iter().rev().find(|message| !text(message).contains("OPENCLAW_INTERNAL_CONTEXT"));
    let Some(message) = own else { return (String::new(), false) };
    let words = text(message);
    let words = words.split_once("] ").map_or(words.as_str(), |(_, words)| words);
    let words = words.split_once("\n\nRuntime:").map_or(words, |(words, _)| words);
    // A turn that is taken up again comes with notes to the model before and after it.
    let words = words.lines().find(|line| line.starts_with("slow: ")).unwrap_or(words);
    (words.trim().to_owned(), message["role"] == "tool")
}

async fn say(pieces: mpsc::Sender<String>, words: String, is_result: bool) {
    let (answer, pause) = match words.strip_prefix("slow: ").and_then(|count| count.parse::<usize>().ok()) {
        Some(count) => ((0..count).map(|n| format!("word{n} ")).collect(), SLOW_PIECE_PAUSE),
        None if is_result => (format!("Tool said: {words}"), PIECE_PAUSE),
        None => (format!("Echo: {words}"), PIECE_PAUSE),
    };
    for word in answer.split_inclusive(' ') {
        if pieces.send(chunk(&json!({"content": word}), None)).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
    end(&pieces, "stop").await;
}

async fn call(pieces: mpsc::Sender<String>, command: String) {
    let arguments = json!({"command": command}).to_string();
    let call =
        json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "exec", "arguments": arguments}});
    for delta in [json!({"content": "I will run it. "}), json!({"tool_calls": [call]})] {
        let _ = pieces.send(chunk(&delta, None)).await;
    }
    end(&pieces, "tool_calls").await;
}

async fn end(pieces: &mpsc::Sender<String>, reason: &str) {
    let _ = pieces.send(chunk(&json!({}), Some(reason))).await;
    let _ = pieces.send("data: [DONE]\n\n".to_owned()).await;
}

fn chunk(delta: &Value, reason: Option<&str>) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    format!("data: {chunk}\n\n")
}
