//! One connection: `/readyz` or an upgrade, the handshake with its checks, then calls and events.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::interval,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role},
    },
};
use uuid::Uuid;

use super::{Arc, Behaviour, Inner, Ordering, Out};

/// The longest request head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Why a connection ends; only for leaving early.
type Gone = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(inner: Arc<Inner>, mut io: S) {
    // The client leaves when it likes; that is no failure of a test.
    let _ = try_serve(&inner, &mut io).await;
}

async fn try_serve<S: AsyncRead + AsyncWrite + Unpin>(inner: &Arc<Inner>, io: &mut S) -> Result<(), Gone> {
    let behaviour = inner.behaviour();
    let head = read_head(io).await?;
    if head.starts_with("GET /readyz ") {
        let ready = !matches!(behaviour, Behaviour::NeverReady | Behaviour::Hanging);
        let status = if ready { "200 OK" } else { "503 Service Unavailable" };
        io.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        return Ok(());
    }
    inner.attempts.fetch_add(1, Ordering::SeqCst);
    if behaviour == Behaviour::Hanging {
        return std::future::pending().await;
    }
    // As the real one: a browser's Origin is not welcome on the loopback.
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let key = header("Sec-WebSocket-Key: ").ok_or("no upgrade")?;
    if header("Origin: ").is_some() || header("Host: 127.0.0.1:").is_none() {
        io.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await?;
        return Ok(());
    }
    let accept = derive_accept_key(key.trim().as_bytes());
    io.write_all(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .as_bytes(),
    )
    .await?;
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    if handshake(inner, behaviour, &mut socket).await? { talk(inner, behaviour, &mut socket).await } else { Ok(()) }
}

async fn read_head<S: AsyncRead + Unpin>(io: &mut S) -> Result<String, Gone> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err("the request head is too long".into());
        }
        head.push(io.read_u8().await?);
    }
    // Header names are compared as our clients write them.
    Ok(String::from_utf8(head)?
        .replace("\r\n", "\n")
        .replace("\nhost:", "\nHost:")
        .replace("sec-websocket-key", "Sec-WebSocket-Key"))
}

/// Whether the client was let in.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    inner: &Inner,
    behaviour: Behaviour,
    socket: &mut WebSocketStream<S>,
) -> Result<bool, Gone> {
    let nonce = Uuid::now_v7().to_string();
    let ts = jiff::Timestamp::now().as_millisecond();
    send(socket, &json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": nonce, "ts": ts}}))
        .await?;
    let request = loop {
        match socket.next().await.ok_or("gone")?? {
            Message::Text(text) => break serde_json::from_str::<Value>(text.as_str())?,
            Message::Close(_) => return Ok(false),
            _ => {}
        }
    };
    let verdict = if request["method"] == "connect" {
        judge(inner, behaviour, &request["params"], &nonce, ts)
    } else {
        Err(json!({"code": "INVALID_REQUEST", "message": "invalid handshake: first request must be connect"}))
    };
    match verdict {
        Ok(payload) => {
            send(socket, &json!({"type": "res", "id": request["id"], "ok": true, "payload": payload})).await?;
            Ok(true)
        }
        Err(error) => {
            let code = if error["details"]["code"] == "PROTOCOL_MISMATCH" { 1002 } else { 1008 };
            send(socket, &json!({"type": "res", "id": request["id"], "ok": false, "error": error})).await?;
            close(socket, code, "refused").await?;
            Ok(false)
        }
    }
}

/// The hello, or why not.
fn judge(inner: &Inner, behaviour: Behaviour, params: &Value, nonce: &str, ts: i64) -> Result<Value, Value> {
    let refuse = |code: &str, detail: &str| json!({"code": code, "message": format!("refused: {detail}"), "details": {"code": detail}});
    let range = params["minProtocol"].as_u64().unwrap_or(0)..=params["maxProtocol"].as_u64().unwrap_or(0);
    let protocol = if behaviour == Behaviour::Foreign { 5 } else { 4 };
    if !range.contains(&protocol) {
        let details = json!({"code": "PROTOCOL_MISMATCH", "expectedProtocol": protocol});
        return Err(json!({"code": "INVALID_REQUEST", "message": "protocol mismatch", "details": details}));
    }
    if let Behaviour::Starting { retry_after_ms } = behaviour {
        return Err(json!({"code": "UNAVAILABLE", "message": "gateway starting; retry shortly",
            "details": {"reason": "startup-sidecars"}, "retryable": true, "retryAfterMs": retry_after_ms}));
    }
    let (shared, issued) = (params["auth"]["token"].as_str(), params["auth"]["deviceToken"].as_str());
    if let (Behaviour::RateLimited { retry_after_ms }, Some(_)) = (behaviour, shared) {
        return Err(json!({"code": "INVALID_REQUEST", "message": "unauthorized: too many failed attempts",
            "details": {"code": "AUTH_RATE_LIMITED"}, "retryAfterMs": retry_after_ms}));
    }
    if behaviour == Behaviour::Locked {
        return Err(refuse("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"));
    }
    if shared.is_none() && issued.is_some_and(|token| !inner.device_tokens.lock().contains(token)) {
        return Err(refuse("INVALID_REQUEST", "AUTH_DEVICE_TOKEN_MISMATCH"));
    }
    if shared.is_some_and(|token| token != inner.token.expose_secret()) {
        return Err(refuse("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"));
    }
    let Some(token) = shared.or(issued) else { return Err(refuse("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED")) };
    if !proof_holds(params, token, nonce, ts) {
        return Err(refuse("INVALID_REQUEST", "DEVICE_AUTH_SIGNATURE_INVALID"));
    }
    let browser = ["openclaw-control-ui", "webchat-ui", "webchat"];
    if params["client"]["mode"] == "webchat" || browser.iter().any(|id| params["client"]["id"] == *id) {
        return Err(refuse("INVALID_REQUEST", "CONTROL_UI_ORIGIN_NOT_ALLOWED"));
    }
    let device_token = Uuid::now_v7().simple().to_string();
    inner.device_tokens.lock().insert(device_token.clone());
    let scopes = if behaviour == Behaviour::Powerless { json!([]) } else { params["scopes"].clone() };
    Ok(json!({
        "type": "hello-ok", "protocol": protocol, "server": {"version": "2026.9.6", "connId": nonce},
        "features": {"methods": [], "events": []},
        "snapshot": {"sessionDefaults": {"defaultAgentId": "main", "mainSessionKey": "agent:main:main"}},
        "auth": {"role": "operator", "scopes": scopes, "deviceToken": device_token},
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": inner.tick.as_millis() as u64},
        "pluginSurfaceUrls": {"canvas": "http://127.0.0.1:18789/__openclaw__/cap/secret"},
    }))
}

/// Puts the signed text together from the request, as the gateway does, and checks the signature.
fn proof_holds(params: &Value, token: &str, nonce: &str, ts: i64) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (client, device) = (&params["client"], &params["device"]);
    let scopes: Vec<String> = params["scopes"].as_array().into_iter().flatten().map(text).collect();
    let signed = [
        "v3",
        &text(&device["id"]),
        &text(&client["id"]),
        &text(&client["mode"]),
        &text(&params["role"]),
        &scopes.join(","),
        &ts.to_string(),
        token,
        nonce,
        &text(&client["platform"]).to_lowercase(),
        &text(&client["deviceFamily"]).to_lowercase(),
    ]
    .join("|");
    let check = || {
        let public: [u8; 32] = URL_SAFE_NO_PAD.decode(text(&device["publicKey"])).ok()?.try_into().ok()?;
        let id: String = Sha256::digest(public).iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = URL_SAFE_NO_PAD.decode(text(&device["signature"])).ok()?;
        let signature = Signature::from_slice(&signature).ok()?;
        VerifyingKey::from_bytes(&public).ok()?.verify_strict(signed.as_bytes(), &signature).ok()?;
        Some(id == text(&device["id"]) && device["nonce"] == nonce && device["signedAt"] == ts)
    };
    check().unwrap_or(false)
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    inner: &Arc<Inner>,
    behaviour: Behaviour,
    socket: &mut WebSocketStream<S>,
) -> Result<(), Gone> {
    match behaviour {
        Behaviour::Garbage => socket.send(Message::text("{not a frame")).await?,
        Behaviour::Silent => return std::future::pending().await,
        _ => {}
    }
    let mut events = inner.out.subscribe();
    let mut ticks = interval(inner.tick);
    let mut seq = 0_u64;
    let mut subscribed = false;
    loop {
        tokio::select! {
            message = socket.next() => match message.ok_or("gone")?? {
                Message::Text(text) => {
                    let request: Value = serde_json::from_str(text.as_str())?;
                    subscribed |= request["method"] == "sessions.subscribe";
                    if let Some(answer) = inner.answer(&request) {
                        send(socket, &answer).await?;
                    }
                }
                Message::Close(_) => return Ok(()),
                _ => {}
            },
            out = events.recv() => match out? {
                Out::Close { code, reason } => return close(socket, code, reason).await,
                Out::Event { name, payload } if subscribed || !name.starts_with("session") => {
                    seq += 1;
                    send(socket, &json!({"type": "event", "event": name, "payload": payload, "seq": seq})).await?;
                }
                Out::Event { .. } => {}
            },
            _ = ticks.tick() => {
                seq += 1;
                send(socket, &json!({"type": "event", "event": "tick", "payload": {"ts": 0}, "seq": seq})).await?;
            }
        }
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, frame: &Value) -> Result<(), Gone> {
    Ok(socket.send(Message::text(frame.to_string())).await?)
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    code: u16,
    reason: &'static str,
) -> Result<(), Gone> {
    Ok(socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?)
}
