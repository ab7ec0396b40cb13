//! One connection to the hub's API, by its Unix socket or by URL. Knows requests, answers and the error shape; not what
//! the routes mean.

mod remote;
mod socket;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use self::{remote::Remote, socket::Socket};
use super::{Globals, failure::Failure, sse::EventStream};

/// The largest JSON answer, in bytes.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// How long one unary call may take; long work is a job, never a long call.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A call of the API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    /// Path and query, already encoded.
    path: String,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, headers: Vec::new() }
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer with its body still on the way.
struct Answer {
    status: u16,
    body: BoxStream<'static, Result<Bytes, Failure>>,
}

/// What a unary call came back with.
#[derive(Debug)]
pub(crate) struct Reply {
    /// `null` for an empty body.
    pub(crate) body: Value,
}

impl Reply {
    /// Reads one member of the body.
    pub(crate) fn member<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        read(self.body.get(name).cloned().unwrap_or(Value::Null))
    }
}

/// A client of one hub.
pub(crate) enum Client {
    Socket(Socket),
    Remote(Remote),
}

impl Client {
    /// Chooses the way to the hub; connects only when called.
    pub(crate) fn new(globals: &Globals) -> Result<Self, Failure> {
        if let Some(url) = &globals.url {
            return Remote::new(url).map(Client::Remote);
        }
        let data_dir = globals.data_dir().ok_or_else(|| {
            Failure::Usage("there is no home directory: say where the hub's data is with --data-dir".to_owned())
        })?;
        Ok(Client::Socket(Socket::new(data_dir.join("run/hub.sock"))))
    }

    /// Whether the hub is reached by its local socket, which makes the caller its owner.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Client::Socket(_))
    }

    /// The address that was given, when the hub is reached by URL.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Client::Socket(_) => None,
            Client::Remote(remote) => Some(remote.base()),
        }
    }

    /// Reads a JSON document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.send(Call::new(Method::GET, path)).await?.body)
    }

    /// Makes a call and reads its answer.
    ///
    /// # Errors
    /// `Api` for an answer of 400 and above, `Unavailable` when the hub cannot be reached.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, Failure> {
        let whole = async {
            let answer = self.call(call).await?;
            let body = collect(answer.body).await?;
            if body.is_empty() {
                return Ok(Reply { body: Value::Null });
            }
            let body = serde_json::from_slice(&body)
                .map_err(|source| Failure::Failed(format!("the hub sent an unreadable answer: {source}")))?;
            Ok(Reply { body })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, whole)
            .await
            .unwrap_or_else(|_| Err(Failure::Unavailable("the hub did not answer in time".to_owned())))
    }

    /// Opens a stream of events; with the last id that was seen, from there on.
    pub(crate) async fn events(&self, path: &str, last_id: Option<&str>) -> Result<EventStream, Failure> {
        let mut call = Call::new(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            call = call.header("last-event-id", id);
        }
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.call(call))
            .await
            .unwrap_or_else(|_| Err(Failure::Unavailable("the hub did not answer in time".to_owned())))?;
        Ok(EventStream::new(answer.body))
    }

    async fn call(&self, call: Call) -> Result<Answer, Failure> {
        let answer = match self {
            Client::Socket(socket) => socket.call(call).await?,
            Client::Remote(remote) => remote.call(call).await?,
        };
        if answer.status < 400 {
            return Ok(answer);
        }
        let status = answer.status;
        Err(api_failure(status, &collect(answer.body).await.unwrap_or_default()))
    }
}

/// Reads a value as the type it must be.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|source| Failure::Failed(format!("the hub sent an answer of another form than expected: {source}")))
}

/// Encodes one segment of a path or one value of a query (RFC 3986, section 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A failure as the hub words it. Codes are read as text, so that a newer hub's codes are understood.
fn api_failure(status: u16, body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        code: String,
        message: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error: Detail { code, message } }) => Failure::Api { status, code, message },
        Err(_) => Failure::Api {
            status,
            code: "unknown".to_owned(),
            message: format!("the answer was {status}, not in the form of a Reef hub"),
        },
    }
}

async fn collect(mut body: BoxStream<'static, Result<Bytes, Failure>>) -> Result<BytesMut, Failure> {
    let mut collected = BytesMut::new();
    while let Some(bytes) = body.next().await {
        collected.extend_from_slice(&bytes?);
        if collected.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Failed(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding() {
        for (text, expect) in
            [("main", "main"), ("agent:main:main", "agent%3Amain%3Amain"), ("../x?y", "..%2Fx%3Fy"), ("ä", "%C3%A4")]
        {
            assert_eq!(encode(text), expect);
        }
    }

    #[test]
    fn a_foreign_error_page_is_not_shown() {
        let failure = api_failure(502, b"<html>gateway</html>");
        assert_eq!(failure.to_string(), "the answer was 502, not in the form of a Reef hub");
    }
}
