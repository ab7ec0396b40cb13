//! A registry on loopback whose every answer is chosen by the test, down to where the connection breaks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// First byte asked for.
    pub(crate) range_start: Option<usize>,
}

/// What to send back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    pub(crate) cut_at: Option<usize>,
    /// Silence before the answer.
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), cut_at: None, delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    /// The part of `whole` that was asked for.
    pub(crate) fn part(whole: &[u8], request: &Request) -> Self {
        let Some(start) = request.range_start else { return Self::ok(whole) };
        let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        Self { status: 206, headers: vec![("content-range", range)], ..Self::ok(&whole[start..]) }
    }
}

type Handler = Box<dyn Fn(&Request, usize) -> Answer + Send + Sync>;

/// A running server; stops when dropped.
pub(crate) struct FakeRegistry {
    pub(crate) addr: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl FakeRegistry {
    /// `handler` gets each request and its number, from 0.
    pub(crate) async fn start(handler: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (handler, seen): (Arc<Handler>, _) = (Arc::new(Box::new(handler)), requests.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, handler.clone(), seen.clone()));
            }
        });
        Self { addr, requests, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.addr)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, handler: Arc<Handler>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let request = Request {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        authorization: header("authorization"),
        range_start: header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()),
    };
    let number = {
        let mut seen = seen.lock();
        seen.push(request.clone());
        seen.len() - 1
    };
    let answer = handler(&request, number);
    tokio::time::sleep(answer.delay).await;
    let mut reply =
        format!("HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        reply += &format!("{name}: {value}\r\n");
    }
    let body = &answer.body[..answer.cut_at.unwrap_or(answer.body.len())];
    // The client may be gone: that is its right.
    let _ = stream.write_all(&[reply.as_bytes(), b"\r\n", body].concat()).await;
    let _ = stream.shutdown().await;
}
