//! Calls and events on one open connection: requests are matched with answers, and all that wait are failed at once
//! when the connection ends.

use std::{collections::HashMap, time::Duration};

use futures_util::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use parking_lot::Mutex;
use reef_driver::AgentError;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::{
    FRAME_BYTES_MAX,
    error::Refusal,
    frame::{Event, Frame, Request},
    secrets::Secrets,
    socket::Socket,
};

/// Calls that wait to be written.
const QUEUE_MAX: usize = 64;

/// Calls that wait for an answer.
const PENDING_MAX: usize = 256;

/// Limit for writing one request; a gateway that does not read for so long is lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is added to two ticks before silence counts as loss.
const SILENCE_MARGIN: Duration = Duration::from_secs(10);

type Reply = oneshot::Sender<Result<Value, Refusal>>;

#[derive(Debug)]
struct Call {
    method: &'static str,
    params: Value,
    reply: Reply,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Disconnect {
    #[error("the gateway closed the connection ({code} {reason})")]
    Closed { code: u16, reason: String },
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the gateway was silent for {}s", .0.as_secs())]
    Silent(Duration),
    #[error("the gateway sent something that is not a frame")]
    Garbage,
    #[error("nobody uses the connection any more")]
    Unused,
}

/// The calling end of a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    calls: mpsc::Sender<Call>,
    secrets: Secrets,
}

impl Rpc {
    /// Calls a method and waits for its answer for at most `limit`.
    pub(crate) async fn call(&self, method: &'static str, params: Value, limit: Duration) -> Result<Value, AgentError> {
        let (reply, answer) = oneshot::channel();
        let work = async {
            self.calls.send(Call { method, params, reply }).await.map_err(|_| AgentError::NotConnected)?;
            // A dropped sender means that the connection ended with the call open.
            let answer = answer.await.map_err(|_| AgentError::NotConnected)?;
            answer.map_err(|refusal| self.secrets.refused(refusal))
        };
        timeout(limit, work).await.unwrap_or(Err(AgentError::Timeout))
    }
}

/// The working end of a connection.
pub(crate) struct Pump {
    socket: Socket,
    calls: mpsc::Receiver<Call>,
    silence_max: Duration,
}

/// Splits a connection into a calling and a working end. `tick` is the gateway's time between two signs of life.
pub(crate) fn channel(socket: Socket, tick: Duration, secrets: Secrets) -> (Rpc, Pump) {
    let (calls_tx, calls) = mpsc::channel(QUEUE_MAX);
    (Rpc { calls: calls_tx, secrets }, Pump { socket, calls, silence_max: 2 * tick + SILENCE_MARGIN })
}

impl Pump {
    /// Works until the connection ends. `on_event` must not block.
    pub(crate) async fn run(self, on_event: impl FnMut(Event)) -> Disconnect {
        let pending = Mutex::new(HashMap::new());
        let (sink, stream) = self.socket.split();
        // Two halves that never wait for each other: a gateway that stops reading cannot stop us from reading.
        tokio::select! {
            end = write(sink, self.calls, &pending) => end,
            end = read(stream, self.silence_max, &pending, on_event) => end,
        }
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut calls: mpsc::Receiver<Call>,
    pending: &Mutex<HashMap<String, Reply>>,
) -> Disconnect {
    let mut next_id: u64 = 0;
    while let Some(call) = calls.recv().await {
        next_id += 1;
        let id = format!("r{next_id}");
        let text = Request { id: &id, method: call.method, params: &call.params }.to_text();
        if text.len() > FRAME_BYTES_MAX {
            let message = format!("the request is longer than {FRAME_BYTES_MAX} bytes");
            // The caller may be gone already; then nobody wants to know.
            let _ = call.reply.send(Err(Refusal::ours(message)));
            continue;
        }
        if !remember(&mut pending.lock(), id, call.reply) {
            continue;
        }
        match timeout(WRITE_TIMEOUT, sink.send(Message::text(text))).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => return Disconnect::Broken(err.to_string()),
            Err(_) => return Disconnect::Silent(WRITE_TIMEOUT),
        }
    }
    Disconnect::Unused
}

/// Keeps the reply for when the answer comes; refuses it when too many wait.
fn remember(pending: &mut HashMap<String, Reply>, id: String, reply: Reply) -> bool {
    if pending.len() >= PENDING_MAX {
        // Callers that ran into their time limit left these behind.
        pending.retain(|_, reply| !reply.is_closed());
    }
    if pending.len() >= PENDING_MAX {
        let message = "too many calls wait for an answer".to_owned();
        let _ = reply.send(Err(Refusal::ours(message)));
        return false;
    }
    pending.insert(id, reply);
    true
}

async fn read(
    mut stream: SplitStream<Socket>,
    silence_max: Duration,
    pending: &Mutex<HashMap<String, Reply>>,
    mut on_event: impl FnMut(Event),
) -> Disconnect {
    loop {
        let message = match timeout(silence_max, stream.next()).await {
            Err(_) => return Disconnect::Silent(silence_max),
            Ok(None) => return Disconnect::Closed { code: 1006, reason: String::new() },
            Ok(Some(Err(err))) => return Disconnect::Broken(err.to_string()),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) => match serde_json::from_str(text.as_str()) {
                Ok(Frame::Event(event)) => on_event(event),
                Ok(Frame::Res(res)) => {
                    let reply = pending.lock().remove(&res.id);
                    if let Some(reply) = reply {
                        let _ = reply.send(res.into_result());
                    }
                }
                Ok(Frame::Unknown) => {}
                Err(_) => return Disconnect::Garbage,
            },
            Message::Close(frame) => {
                let CloseFrame { code, reason } = frame.unwrap_or(CloseFrame { code: 1005.into(), reason: "".into() });
                return Disconnect::Closed { code: code.into(), reason: reason.to_string() };
            }
            Message::Binary(_) => return Disconnect::Garbage,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}
