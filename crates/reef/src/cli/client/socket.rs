//! The way to the hub of this machine: HTTP over the Unix socket in its data directory. The hub knows the caller by the
//! credentials of the peer, so nothing secret is sent.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Answer, Call};
use crate::cli::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The hub answers only to names it knows.
const HOST: &str = "reef.localhost";

pub(crate) struct Socket {
    path: PathBuf,
}

impl Socket {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes one call on a connection of its own; the connection ends with the answer's body.
    pub(super) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.path))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(|source| self.unreachable(&source))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|source| broken(&source))?;
        tokio::spawn(connection);
        let response = sender.send_request(request(call)?).await.map_err(|source| broken(&source))?;
        let status = response.status().as_u16();
        // The sender must live as long as the body: hyper closes the connection when it is dropped.
        let body = response.into_body().into_data_stream().map_err(|source| broken(&source)).map(move |bytes| {
            let _alive = &sender;
            bytes
        });
        Ok(Answer { status, body: body.boxed() })
    }

    fn unreachable(&self, source: &io::Error) -> Failure {
        let socket = self.path.display();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::Unavailable(format!(
                "no hub is running here (nothing answers at {socket}); start it with `reef up`"
            )),
            io::ErrorKind::PermissionDenied => Failure::Api {
                status: 403,
                code: "forbidden".to_owned(),
                message: format!("{socket} belongs to another user: use --url and a token, or the hub's own user"),
            },
            _ => Failure::Unavailable(format!("cannot reach the hub at {socket}: {source}")),
        }
    }
}

fn request(call: Call) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::builder().method(call.method).uri(call.path).header(header::HOST, HOST);
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let body = match call.body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(body)).map_err(|source| Failure::Usage(format!("cannot ask for that: {source}")))
}

fn broken(source: &hyper::Error) -> Failure {
    Failure::Unavailable(format!("the connection to the hub broke off: {source}"))
}
