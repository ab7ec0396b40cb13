//! A small HTTP client that sends exactly what a test says, and nothing that it does not.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

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

    /// A browser's page of the hub itself, signed in by the cookie that an answer set.
    #[must_use]
    pub fn with_cookie_of(self, answer: &Answer) -> Self {
        let cookie =
            answer.headers[header::SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let origin = format!("http://{}", self.addr);
        self.with("cookie", &cookie).with("origin", &origin).with("sec-fetch-site", "same-origin")
    }

    /// A client with a fresh API token of these scopes.
    pub async fn token(&self, scope: &str) -> Client {
        let answer = self.send(Method::POST, "/api/tokens", Some(json!({ "name": "test", "scopes": [scope] }))).await;
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

    /// Sends a request and reads all of its answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let response = self.open(method, path, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request and leaves the body to the caller: for streams.
    pub async fn open(&self, method: Method, path: &str, body: Option<Value>) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.addr).await.expect("the hub listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = request.body(Full::new(bytes)).expect("a request");
        request.headers_mut().extend(self.headers.clone());
        sender.send_request(request).await.expect("an answer")
    }
}
