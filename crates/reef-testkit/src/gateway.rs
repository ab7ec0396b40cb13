//! What listens inside an instance: answers HTTP requests with what it saw of them, and takes WebSockets.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

/// A running fake gateway; it ends with the test.
#[derive(Debug)]
pub struct FakeGateway {
    pub addr: SocketAddr,
    open: Arc<AtomicUsize>,
}

impl FakeGateway {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let open = Arc::new(AtomicUsize::new(0));
        let counter = open.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(answer))
                        .with_upgrades();
                    let _ = connection.await;
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { addr, open }
    }

    /// HTTP connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.headers().contains_key(header::UPGRADE) {
        return Ok(upgrade(request));
    }
    if request.uri().path() == "/endless" {
        // Enough to fill every buffer on the way in a moment.
        static PIECE: [u8; 64 << 10] = [b'.'; 64 << 10];
        let ticks = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            Some((Ok(hyper::body::Frame::data(Bytes::from_static(&PIECE))), ()))
        });
        return Ok(Response::new(BodyExt::boxed(http_body_util::StreamBody::new(Box::pin(ticks)))));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let headers: serde_json::Map<_, _> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let seen = json!({
        "method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": headers, "bodyBytes": body.len(),
    });
    let mut response = Response::new(Full::new(Bytes::from(seen.to_string())).boxed());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::SET_COOKIE, HeaderValue::from_static("reef_session=stolen"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"kept\""));
    Ok(response)
}

/// Challenge, connect, hello, and from then on an echo.
fn upgrade(mut request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let _ = socket.send(Message::text(r#"{"type":"event","event":"connect.challenge"}"#)).await;
        let Some(Ok(_connect)) = socket.next().await else { return };
        let _ = socket.send(Message::text(r#"{"type":"res","ok":true}"#)).await;
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let key = request.headers().get("sec-websocket-key").map(HeaderValue::as_bytes).unwrap_or_default();
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", HeaderValue::from_str(&derive_accept_key(key)).expect("base64"));
    response
}
