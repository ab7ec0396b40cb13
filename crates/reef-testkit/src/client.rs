//! A small HTTP client that sends exactly what a test says, and nothing that it does not.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error as WebSocketError, handshake::client::generate_key},
};

use crate::{events::Events, hub::PATIENCE};

/// A client with the credentials that it was given.
#[derive(Debug, Clone)]
pub struct Client {
    addr: SocketAddr,
    headers: HeaderMap,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The code of the one error shape.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Fails unless this is a refusal in the one error shape.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert_eq!(error["requestId"], self.header("x-request-id"), "{self:?}");
        assert!(error["details"].is_object(), "{self:?}");
    }
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&addr.to_string()).expect("an address is a host"));
        Self { addr, headers }
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Does not send this header any more.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The same client for a hub that was started again, at another port.
    #[must_use]
    pub fn at(mut self, addr: SocketAddr) -> Self {
        let fresh = Self::new(addr);
        self.headers.extend(fresh.headers);
        if self.headers.contains_key(header::ORIGIN) {
            self = self.with("origin", &format!("http://{addr}"));
        }
        Self { addr, ..self }
    }

    /// A browser's page of the hub itself, signed in by the cookie that an answer set.
    #[must_use]
    pub fn with_cookie_of(self, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").split(';').next().expect("a pair").to_owned();
        let origin = format!("http://{}", self.addr);
        self.with("cookie", &cookie).with("origin", &origin).with("sec-fetch-site", "same-origin")
    }

    /// A client with a fresh API token of these scopes.
    pub async fn token(&self, scope: &str) -> Client {
        let answer = self.post("/api/tokens", json!({ "name": "test", "scopes": [scope] })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Client::new(self.addr)
            .with("authorization", &format!("Bearer {}", answer.json()["secret"].as_str().expect("a secret")))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends a request and reads all of its answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let response = self.open(method, path, body).await;
        let (parts, body) = response.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("a body that ends").expect("a whole body").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request and leaves the body to the caller: for streams.
    pub async fn open(&self, method: Method, path: &str, body: Option<Value>) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.addr).await.expect("the hub listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() && !self.headers.contains_key(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = request.body(Full::new(bytes)).expect("a request");
        request.headers_mut().extend(self.headers.clone());
        timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time").expect("an answer")
    }

    /// Opens an event stream.
    pub async fn events(&self, path: &str) -> Events {
        let response = self.open(Method::GET, path, None).await;
        assert_eq!(response.status(), 200, "{path}");
        Events::new(response.into_body())
    }

    /// A request head with this client's headers, for tests that write to the socket themselves.
    pub fn head(&self, method: &str, path: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {}\r\n", value.to_str().expect("text"));
        }
        head
    }

    /// Sends bytes as they are, and returns everything until the hub closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.addr).await.expect("the hub listens");
        stream.write_all(bytes).await.expect("the hub reads");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
        // A reset after the answer is as good an end as any.
        drop(read);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Opens a WebSocket, or returns the status and the error code of the refusal.
    pub async fn websocket(&self, path: &str) -> Result<WebSocketStream<TcpStream>, (u16, String)> {
        let stream = TcpStream::connect(self.addr).await.expect("the hub listens");
        let mut request = Request::builder()
            .uri(format!("ws://{}{path}", self.addr))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key())
            .body(())
            .expect("a request");
        request.headers_mut().extend(self.headers.clone());
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(WebSocketError::Http(response)) => {
                let body: Value =
                    response.body().as_ref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
                Err((response.status().as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned()))
            }
            Err(err) => panic!("neither a WebSocket nor a refusal: {err}"),
        }
    }
}
