//! Opens one authenticated connection: dial, upgrade, challenge, connect, hello. Every step has a time limit.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reef_driver::{BoxIo, Dial};
use reef_types::InstanceId;
use secrecy::SecretString;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error as WsError, Message, protocol::WebSocketConfig},
};

use super::{
    FRAME_BYTES_MAX, GATEWAY_PORT,
    connect::{Challenge, Hello, Secret, link_params},
    error::{ConnectError, Refusal},
    frame::{Frame, Request},
};
use crate::credential::Credential;

/// A connection that speaks WebSocket.
pub(crate) type Socket = WebSocketStream<BoxIo>;

/// Limit for reaching the port. It is on the same machine, or one hop away.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit for each of the later steps. A gateway that is just starting is busy for seconds.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// Buffer per connection, in bytes. It is held all the time, for every instance.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// Id of the connect request.
const CONNECT_ID: &str = "connect";

/// Opens and authenticates a connection.
pub(crate) async fn open(
    dial: &dyn Dial,
    id: InstanceId,
    credential: &Credential,
    device_token: Option<&SecretString>,
) -> Result<(Socket, Hello), ConnectError> {
    let io = limit("connecting", DIAL_TIMEOUT, dial.dial(id, GATEWAY_PORT))
        .await?
        .map_err(|err| ConnectError::Unreachable(err.message))?;
    // The address makes the Host header; the stream is the one that was dialled. No Origin: that is for browsers.
    let url = format!("ws://127.0.0.1:{GATEWAY_PORT}/");
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let (mut socket, _) = limit("upgrade", STEP_TIMEOUT, client_async_with_config(url, io, Some(config)))
        .await?
        .map_err(|err| upgrade_error(&err))?;

    let challenge = Challenge::parse(&limit("challenge", STEP_TIMEOUT, next_text(&mut socket)).await??)?;
    let secret = device_token.map_or(Secret::Shared(credential.token()), Secret::Device);
    let params = link_params(credential, secret, &challenge);
    let request = Request { id: CONNECT_ID, method: "connect", params: &params }.to_text();
    limit("connect", STEP_TIMEOUT, socket.send(Message::text(request))).await?.map_err(|err| lost(&err))?;
    let answer = limit("hello", STEP_TIMEOUT, answer(&mut socket)).await??;
    let hello = answer.map_err(refused).and_then(|payload| Hello::parse(&payload))?;
    Ok((socket, hello))
}

/// The answer to the connect request; events before it are skipped.
async fn answer(socket: &mut Socket) -> Result<Result<serde_json::Value, Refusal>, ConnectError> {
    loop {
        let text = next_text(socket).await?;
        match serde_json::from_str(&text) {
            Ok(Frame::Res(res)) if res.id == CONNECT_ID => return Ok(res.into_result()),
            Ok(_) => {}
            Err(_) => return Err(ConnectError::Protocol("a message that is not a frame".to_owned())),
        }
    }
}

async fn next_text(socket: &mut Socket) -> Result<String, ConnectError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(ConnectError::Protocol("a binary message".to_owned())),
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                return Err(ConnectError::Closed { code, reason });
            }
            Some(Err(err)) => return Err(lost(&err)),
            None => return Err(ConnectError::Closed { code: 1006, reason: String::new() }),
        }
    }
}

async fn limit<T>(phase: &'static str, limit: Duration, work: impl Future<Output = T>) -> Result<T, ConnectError> {
    timeout(limit, work).await.map_err(|_| ConnectError::Timeout { phase, limit })
}

fn refused(refusal: Refusal) -> ConnectError {
    match refusal.detail() {
        Some("PROTOCOL_MISMATCH") => ConnectError::Version { theirs: refusal.expected_protocol() },
        _ => ConnectError::Refused(refusal),
    }
}

fn upgrade_error(err: &WsError) -> ConnectError {
    match err {
        WsError::Http(response) => ConnectError::Protocol(format!("the upgrade was answered {}", response.status())),
        WsError::Io(_) => lost(err),
        other => ConnectError::Protocol(other.to_string()),
    }
}

fn lost(err: &WsError) -> ConnectError {
    match err {
        WsError::Io(io) => ConnectError::Unreachable(io.kind().to_string()),
        WsError::ConnectionClosed | WsError::AlreadyClosed => {
            ConnectError::Closed { code: 1006, reason: String::new() }
        }
        // A peer that dies between two frames looks like this; it is not a breach of the protocol.
        WsError::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            ConnectError::Closed { code: 1006, reason: String::new() }
        }
        other => ConnectError::Protocol(other.to_string()),
    }
}
