//! Calls to real providers: the real key put in, the answer passed on as it comes.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use reef_driver::agent::Dialect;
use reef_types::{ApiError, ErrorCode, usage::UsageOutcome};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    BaseUrl, BrokerLimits,
    call::Call,
    envelope::{BoxError, BrokerBody},
    usage::UsageScan,
};

/// What is read of a provider's error, in bytes; the rest says nothing new.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// What stands where a key was.
const REDACTED: &[u8] = b"[redacted]";

/// Headers of a request that go on to the provider; the rest is between the instance and the broker.
const REQUEST_PASSED: &[&str] = &["accept", "user-agent", "anthropic-version", "anthropic-beta", "openai-beta"];
/// Headers of an answer that go back. Not among them: length (bytes may be cut), cookies, and the account's name.
const RESPONSE_PASSED: &[&str] = &[
    "content-type",
    "content-encoding",
    "cache-control",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "request-id",
    "x-request-id",
];
const RESPONSE_PASSED_PREFIXES: &[&str] = &["x-ratelimit-", "anthropic-ratelimit-"];

/// Where a call goes.
pub(crate) struct Target<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) base_url: &'a BaseUrl,
    pub(crate) key: Option<&'a SecretString>,
}

/// The HTTP clients. Made at the first use: a hub that only echoes needs neither trust anchors nor their memory.
pub(crate) struct Upstream {
    connect: Duration,
    remote: OnceLock<Option<reqwest::Client>>,
    loopback: OnceLock<Option<reqwest::Client>>,
}

impl Upstream {
    pub(crate) fn new(connect: Duration) -> Self {
        Self { connect, remote: OnceLock::new(), loopback: OnceLock::new() }
    }

    fn client(&self, base_url: &BaseUrl) -> Result<&reqwest::Client, ApiError> {
        let loopback = base_url.is_loopback();
        let slot = if loopback { &self.loopback } else { &self.remote };
        slot.get_or_init(|| build(self.connect, loopback))
            .as_ref()
            .ok_or_else(|| ApiError::new(ErrorCode::UpstreamFailed, "this machine has no usable certificate store"))
    }

    /// Sends a call and waits for the head of its answer. Tried a second time only when no connection could be made, so
    /// that nothing is paid for twice.
    pub(crate) async fn send(
        &self,
        limits: &BrokerLimits,
        target: &Target<'_>,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, ApiError> {
        let client = self.client(target.base_url)?;
        let url = match target.dialect {
            Dialect::OpenAiChat => target.base_url.join(&["chat", "completions"]),
            Dialect::AnthropicMessages => target.base_url.join(&["v1", "messages"]),
        };
        let headers = request_headers(target, headers)?;
        let body = Bytes::from(body);
        let attempt = || async {
            let request = client.post(url.clone()).headers(headers.clone()).body(body.clone());
            tokio::time::timeout(limits.first_byte, request.send()).await
        };
        let mut sent = attempt().await;
        if matches!(&sent, Ok(Err(err)) if err.is_connect()) {
            sent = attempt().await;
        }
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(err)) => {
                tracing::debug!(err = %err.without_url(), "provider call failed");
                Err(ApiError::new(ErrorCode::UpstreamFailed, "the model provider could not be reached"))
            }
            Err(_) => Err(ApiError::new(ErrorCode::UpstreamTimeout, "the model provider did not answer in time")),
        }
    }

    /// Passes an answer on and meters it.
    pub(crate) async fn answer(
        &self,
        limits: &BrokerLimits,
        target: &Target<'_>,
        upstream: reqwest::Response,
        mut call: Call,
    ) -> Response<BrokerBody> {
        let status = upstream.status();
        let headers = response_headers(upstream.headers());
        call.meter.byte_seen();
        let body = if status.is_success() {
            let events = headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|text| text.starts_with("text/event-stream"));
            let scan = UsageScan::new(target.dialect, events);
            let answer = metered(upstream.bytes_stream(), limits.idle, scan, call);
            StreamBody::new(answer.map_ok(Frame::data)).boxed_unsync()
        } else {
            let body = error_body(upstream, limits.idle, target.key).await;
            call.meter.finish(UsageOutcome::UpstreamFailed);
            Full::new(body).map_err(|never| match never {}).boxed_unsync()
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn build(connect: Duration, loopback: bool) -> Option<reqwest::Client> {
    // An error means that one is installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(connect)
        .tcp_nodelay(true)
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    let builder = if loopback { builder.no_proxy() } else { builder };
    match builder.build() {
        Ok(client) => Some(client),
        Err(err) => {
            tracing::error!(%err, "no HTTP client for model providers");
            None
        }
    }
}

fn request_headers(target: &Target<'_>, given: &HeaderMap) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    for name in REQUEST_PASSED {
        if let Some(value) = given.get(*name) {
            headers.insert(*name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let Some(key) = target.key else { return Ok(headers) };
    let (name, value) = match target.dialect {
        Dialect::OpenAiChat => (AUTHORIZATION, format!("Bearer {}", key.expose_secret())),
        Dialect::AnthropicMessages => (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned()),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| {
        ApiError::new(ErrorCode::UpstreamFailed, "the provider's key holds characters no header can carry")
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

fn response_headers(given: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| {
        RESPONSE_PASSED.contains(&name) || RESPONSE_PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    given.iter().filter(|(name, _)| passes(name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The bytes of an answer as they come. Dropped before the end, it drops the connection to the provider with it.
fn metered<S>(
    upstream: S,
    idle: Duration,
    scan: UsageScan,
    call: Call,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + use<S>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
{
    // `None` in place of the state: an error was passed on, and nothing follows it.
    futures_util::stream::unfold(Some((upstream, scan, call)), move |state| async move {
        let (mut upstream, mut scan, mut call) = state?;
        match tokio::time::timeout(idle, upstream.next()).await {
            Ok(Some(Ok(bytes))) => {
                scan.feed(&bytes);
                call.meter.set(scan.tokens());
                Some((Ok(bytes), Some((upstream, scan, call))))
            }
            Ok(None) => {
                call.meter.set(scan.end());
                call.meter.finish(UsageOutcome::Ok);
                None
            }
            // The connection to the client is cut, so that it cannot take a part for the whole.
            broken => {
                call.meter.finish(UsageOutcome::UpstreamFailed);
                let reason = if broken.is_err() {
                    "the model provider sent nothing for too long"
                } else {
                    "the model provider broke off"
                };
                Some((Err(reason.into()), None))
            }
        }
    })
}

/// A provider's own words about a failure, without the key that it may quote.
async fn error_body(upstream: reqwest::Response, idle: Duration, key: Option<&SecretString>) -> Bytes {
    let mut collected = Vec::new();
    let mut stream = upstream.bytes_stream();
    // Cut off or late, what came so far is still the best account of the failure.
    while collected.len() < ERROR_BYTES_MAX
        && let Ok(Some(Ok(bytes))) = tokio::time::timeout(idle, stream.next()).await
    {
        collected.extend_from_slice(&bytes);
    }
    collected.truncate(ERROR_BYTES_MAX);
    match key {
        Some(key) => redact(&collected, key.expose_secret().as_bytes()).into(),
        None => collected.into(),
    }
}

/// Cuts every occurrence of a key, also one that the end of the text has cut in two.
fn redact(text: &[u8], key: &[u8]) -> Vec<u8> {
    /// A tail that begins like the key is cut from this length on; shorter ones give nothing away.
    const TAIL_BYTES_MIN: usize = 8;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if !key.is_empty() && rest.starts_with(key) {
            out.extend_from_slice(REDACTED);
            rest = &rest[key.len()..];
        } else if rest.len() >= TAIL_BYTES_MIN && rest.len() < key.len() && key.starts_with(rest) {
            out.extend_from_slice(REDACTED);
            break;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_whole_or_broken() {
        for (text, expect) in [
            ("wrong key sk-marker-123456: sk-marker-123456", "wrong key [redacted]: [redacted]"),
            ("sk-marker-1234567", "[redacted]7"),
            ("ends in sk-marker-1234", "ends in [redacted]"),
            ("sk-mark", "sk-mark"),
            ("", ""),
        ] {
            assert_eq!(redact(text.as_bytes(), b"sk-marker-123456"), expect.as_bytes(), "{text}");
        }
        assert_eq!(redact(b"text", b""), b"text");
    }
}
