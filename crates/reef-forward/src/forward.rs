//! HTTP requests to instances: streamed both ways, with a time limit for each phase.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, UPGRADE},
    uri::PathAndQuery,
};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use reef_driver::{BoxIo, Dial};
use reef_types::{ApiError, ErrorCode};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ForwardBody, ForwardLimits, Route, RouteState,
    error::{connect_timeout, dial_error, error_response, shutting_down},
    headers,
    location::Place,
    path,
    peer::{Conn, Lease, Peer, Peers},
    upload::{self, Progress, UploadBody},
};

/// Largest head of an instance's response, in bytes.
const RESPONSE_HEAD_BYTES_MAX: usize = 64 << 10;
/// How long cut connections may take to close after the time limit of a drain.
const CUT: Duration = Duration::from_secs(2);

/// Who asks, for logs and error bodies.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: String,
    pub client_ip: IpAddr,
    /// The actor as the audit log names it.
    pub actor: String,
}

/// What is running now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    /// Requests whose response body has not ended.
    pub requests: usize,
    pub sockets: usize,
}

/// Carries requests and WebSockets to instances. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) limits: ForwardLimits,
    pub(crate) peers: Arc<Peers>,
    pub(crate) requests: TaskTracker,
    pub(crate) sockets: TaskTracker,
    /// Set when the hub is about to stop: nothing new, and what has no end by itself ends now.
    pub(crate) ending: CancellationToken,
    /// Set at the end of a drain: everything is cut.
    pub(crate) cut: CancellationToken,
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").field("active", &self.active()).finish_non_exhaustive()
    }
}

impl Forwarder {
    /// A forwarder that reaches instances by `dial`.
    pub fn new(dial: Arc<dyn Dial>, limits: ForwardLimits) -> Self {
        Self {
            dial,
            peers: Peers::new(limits.clone()),
            limits,
            requests: TaskTracker::new(),
            sockets: TaskTracker::new(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Counts for metrics.
    pub fn active(&self) -> Active {
        Active { requests: self.requests.len(), sockets: self.sockets.len() }
    }

    /// Takes nothing new, closes WebSockets (1012) and GET event streams at once, waits up to `limit` for the rest and
    /// then cuts it. Returns what had to be cut.
    pub async fn drain(&self, limit: Duration) -> Active {
        self.ending.cancel();
        self.requests.close();
        self.sockets.close();
        let all = async { tokio::join!(self.requests.wait(), self.sockets.wait()) };
        tokio::pin!(all);
        if tokio::time::timeout(limit, &mut all).await.is_ok() {
            return Active { requests: 0, sockets: 0 };
        }
        let left = self.active();
        self.cut.cancel();
        // The response bodies are held by the connections of the hub's own server, which may take a moment to poll them.
        let _ = tokio::time::timeout(CUT, all).await;
        left
    }

    /// Sends a request to an instance and returns its response, made fit for the hub's origin; every failure comes in
    /// the one error shape. Dropping the future or the response body closes the connection to the instance.
    pub async fn forward<B>(
        &self,
        route: &Route,
        req: Request<B>,
        upstream_path_and_query: &str,
        ctx: RequestContext,
    ) -> Response<ForwardBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.try_forward(route, req, upstream_path_and_query, &ctx).await {
            Ok(response) => response,
            Err(err) => {
                tracing::debug!(
                    request_id = ctx.request_id, client_ip = %ctx.client_ip, actor = ctx.actor,
                    instance = %route.id, code = err.code.as_str(), "request not forwarded"
                );
                error_response(&err, &ctx.request_id)
            }
        }
    }

    async fn try_forward<B>(
        &self,
        route: &Route,
        req: Request<B>,
        upstream_path_and_query: &str,
        ctx: &RequestContext,
    ) -> Result<Response<ForwardBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.check_open(route)?;
        check_request(&req, self.limits.request_body_bytes_max)?;
        let target = target(upstream_path_and_query)?;
        let place = Place::new(req.method().clone(), req.uri().path(), target.path(), route.port);
        let peer = self.peers.get(route.id);
        let permit = peer.admit_request()?;
        let running = self.requests.token();

        let progress = Progress::new();
        let req = rewrite(req, target, route, &ctx.request_id, self.limits.request_body_bytes_max, &progress);
        let event_source = req.method() == Method::GET;
        let (response, conn) = self.exchange(route, &peer, req, &progress).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ApiError::new(
                ErrorCode::UpstreamFailed,
                "the instance changed the protocol without being asked",
            ));
        }

        let is_events = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/event-stream"));
        let idle = (!is_events).then_some(self.limits.idle);
        // A browser takes up an event stream again by itself; another answer that streams is worth the wait.
        let ending = (is_events && event_source).then(|| self.ending.clone().cancelled_owned());
        let lease = Lease { conn, peer, _permit: permit, _running: running };
        let mut response = response.map(|body| ForwardBody::stream(body, lease, idle, ending));
        headers::to_client(response.headers_mut());
        place.apply(response.status(), response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    pub(crate) fn check_open(&self, route: &Route) -> Result<(), ApiError> {
        if self.ending.is_cancelled() {
            return Err(shutting_down());
        }
        match &route.state {
            RouteState::Ready => Ok(()),
            RouteState::Unavailable { reason, retry_after_ms } => {
                Err(ApiError::new(ErrorCode::InstanceUnavailable, reason.clone()).retry_after(*retry_after_ms))
            }
        }
    }

    pub(crate) async fn dial(&self, route: &Route) -> Result<BoxIo, ApiError> {
        match tokio::time::timeout(self.limits.connect, self.dial.dial(route.id, route.port)).await {
            Ok(Ok(io)) => Ok(io),
            Ok(Err(err)) => {
                tracing::debug!(instance = %route.id, %err, "dial failed");
                Err(dial_error(&err))
            }
            Err(_) => Err(connect_timeout()),
        }
    }

    /// One request and the head of its response. A request is sent a second time only on a fresh connection, and only
    /// when the kept one was found dead: either before anything of it was written, or for a GET or HEAD without body.
    async fn exchange(
        &self,
        route: &Route,
        peer: &Peer,
        req: Request<UploadBody>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Conn), ApiError> {
        let mut req = req;
        if let Some(mut conn) = peer.take(route) {
            let spare = replayable(&req);
            match self.send(&mut conn, req, progress).await {
                Ok(response) => return Ok((response, conn)),
                Err(SendError::Unsent(unsent)) => req = *unsent,
                Err(SendError::Broken) => req = spare.ok_or_else(|| SendError::Broken.into_api(progress))?,
                Err(err) => return Err(err.into_api(progress)),
            }
        }
        let mut conn = self.connect(route).await?;
        match self.send(&mut conn, req, progress).await {
            Ok(response) => Ok((response, conn)),
            Err(err) => Err(err.into_api(progress)),
        }
    }

    async fn connect(&self, route: &Route) -> Result<Conn, ApiError> {
        let io = self.dial(route).await?;
        let (sender, conn) = hyper::client::conn::http1::Builder::new()
            .max_header_size(RESPONSE_HEAD_BYTES_MAX)
            .max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|_| SendError::Broken.into_api(&Progress::new()))?;
        let cut = self.cut.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Its failures reach whoever waits for the response.
                _ = conn => {}
                () = cut.cancelled() => {}
            }
        });
        Ok(Conn::new(sender, task, route))
    }

    async fn send(
        &self,
        conn: &mut Conn,
        req: Request<UploadBody>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, SendError> {
        tokio::select! {
            sent = conn.sender.try_send_request(req) => sent.map_err(|mut err| match err.take_message() {
                Some(unsent) => SendError::Unsent(Box::new(unsent)),
                None => SendError::Broken,
            }),
            () = progress.stalled(self.limits.first_byte) => Err(SendError::Timeout),
        }
    }
}

enum SendError {
    /// Nothing of it was written.
    Unsent(Box<Request<UploadBody>>),
    Broken,
    Timeout,
}

impl SendError {
    fn into_api(self, progress: &Progress) -> ApiError {
        if progress.too_large() {
            return too_large();
        }
        match self {
            SendError::Unsent(_) | SendError::Broken => {
                ApiError::new(ErrorCode::UpstreamFailed, "the instance closed the connection without a valid response")
            }
            SendError::Timeout => ApiError::new(ErrorCode::UpstreamTimeout, "the instance did not answer in time"),
        }
    }
}

/// A second copy of a request that may be sent twice without harm.
fn replayable(req: &Request<UploadBody>) -> Option<Request<UploadBody>> {
    let safe = matches!(*req.method(), Method::GET | Method::HEAD) && req.body().is_end_stream();
    safe.then(|| {
        let mut copy = Request::new(upload::empty());
        *copy.method_mut() = req.method().clone();
        *copy.uri_mut() = req.uri().clone();
        *copy.headers_mut() = req.headers().clone();
        copy
    })
}

fn check_request<B>(req: &Request<B>, body_bytes_max: u64) -> Result<(), ApiError> {
    if headers::wants_code(req.headers()) {
        return Err(ApiError::new(ErrorCode::Forbidden, "code of an agent does not run on the hub's own origin"));
    }
    // CONNECT has no path to forward, and TRACE echoes what was just taken out of the headers.
    if matches!(*req.method(), Method::CONNECT | Method::TRACE) {
        return Err(ApiError::new(ErrorCode::MethodNotAllowed, "this method is not forwarded"));
    }
    if headers::lists(req.headers(), &UPGRADE, "websocket") {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "WebSockets to an instance go to /ws"));
    }
    let declared = req.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > body_bytes_max) { Err(too_large()) } else { Ok(()) }
}

fn target(path_and_query: &str) -> Result<Uri, ApiError> {
    path::validate(path_and_query.split('?').next().unwrap_or_default())?;
    let parsed: PathAndQuery = path_and_query
        .parse()
        .map_err(|_| ApiError::new(ErrorCode::InvalidProxyPath, "path and query are not of valid form"))?;
    Ok(Uri::from(parsed))
}

fn rewrite<B>(
    req: Request<B>,
    target: Uri,
    route: &Route,
    request_id: &str,
    body_bytes_max: u64,
    progress: &Arc<Progress>,
) -> Request<UploadBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = req.into_parts();
    let mut req = Request::new(upload::watch(body, body_bytes_max, progress.clone()));
    *req.method_mut() = parts.method;
    *req.uri_mut() = target;
    *req.headers_mut() = parts.headers;
    headers::to_upstream(req.headers_mut(), loopback_host(route.port), request_id);
    req
}

pub(crate) fn loopback_host(port: u16) -> HeaderValue {
    HeaderValue::from_str(&format!("127.0.0.1:{port}")).expect("digits, dots and a colon are a header value")
}

fn too_large() -> ApiError {
    ApiError::new(ErrorCode::BodyTooLarge, "the request body is too large to be forwarded")
}

#[cfg(test)]
mod tests;
