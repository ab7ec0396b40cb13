//! A hub that answers what a test tells it to, on a Unix socket and on TCP, and remembers what it was asked.

use std::{convert::Infallible, net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    process::{Child, Command},
};

/// No command may take longer; only a broken one does.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    /// `GET /path?query`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What a script answers.
pub(crate) enum Answer {
    Json(u16, Value),
    /// Events, and then the end of the stream.
    Events(Vec<(&'static str, Value)>),
    /// Events, and then silence.
    Open(Vec<(&'static str, Value)>),
}

/// A failure in the contract's shape.
pub(crate) fn failure(status: u16, code: &str) -> Answer {
    let message = format!("the message of {code}");
    Answer::Json(status, json!({ "error": { "code": code, "message": message, "requestId": "r", "details": {} } }))
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct Hub {
    data_dir: TempDir,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
}

impl Hub {
    /// Starts a hub that answers by this script.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let data_dir = TempDir::new().unwrap();
        std::fs::create_dir(data_dir.path().join("run")).unwrap();
        let socket = UnixListener::bind(data_dir.path().join("run/hub.sock")).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let shared = Arc::new(Shared { script: Box::new(script), asked: Mutex::new(Vec::new()) });
        let serving = shared.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    accepted = socket.accept() => serve(accepted.unwrap().0, serving.clone()),
                    accepted = tcp.accept() => serve(accepted.unwrap().0, serving.clone()),
                }
            }
        });
        Self { data_dir, address, shared }
    }

    /// The address of the hub, for `--url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// Request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// Runs a command against this hub to its end.
    pub(crate) async fn reef(&self, args: &[&str]) -> Ended {
        end(self.spawn(args)).await
    }

    /// Runs a command with something on its stdin.
    pub(crate) async fn reef_with_input(&self, args: &[&str], input: &str) -> Ended {
        let mut child = self.spawn_with(args, Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        end(child).await
    }

    /// Starts a command against this hub.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.spawn_with(args, Stdio::null())
    }

    fn spawn_with(&self, args: &[&str], stdin: Stdio) -> Child {
        reef(args).env("REEF_DATA_DIR", self.data_dir.path()).stdin(stdin).spawn().unwrap()
    }
}

/// The program with nothing of this machine in its environment.
pub(crate) fn reef(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reef"));
    command.args(args).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Waits for a command to end.
pub(crate) async fn end(child: Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("the command ends").unwrap();
    Ended {
        code: output.status.code().expect("the command exits by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    // A client may leave at any moment.
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path_and_query().unwrap().to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let answer = (shared.script)(&asked);
    shared.asked.lock().push(asked);
    let (status, text, open) = match answer {
        Answer::Json(204, _) => (204, String::new(), false),
        Answer::Json(status, body) => (status, body.to_string(), false),
        Answer::Events(events) => (200, render(events), false),
        Answer::Open(events) => (200, render(events), true),
    };
    let sent = stream::iter([Ok(Frame::data(Bytes::from(text)))]);
    let rest = if open { stream::pending().left_stream() } else { stream::empty().right_stream() };
    let body = StreamBody::new(sent.chain(rest)).boxed_unsync();
    Ok(Response::builder().status(status).body(body).unwrap())
}

fn render(events: Vec<(&'static str, Value)>) -> String {
    events.into_iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect()
}
