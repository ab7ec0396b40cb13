//! One request to the egress proxy: a tunnel, or a plain HTTP request in absolute form (RFC 9112 section 3.2.2).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, Uri,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use reef_types::{ApiError, ErrorCode};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{EgressPolicy, connect::connect, tunnel};
use crate::{error_response, headers};

/// Until the head of the response to a plain request.
const FIRST_BYTE: Duration = Duration::from_secs(120);
const HTTP_PORT: u16 = 80;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type EgressBody = UnsyncBoxBody<Bytes, BoxError>;

/// What a request may use.
pub(super) struct Door {
    pub(super) policy: Arc<EgressPolicy>,
    pub(super) tunnels: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Held by a tunnel for as long as it lasts.
    pub(super) permit: Arc<OwnedSemaphorePermit>,
}

impl Door {
    pub(super) async fn handle(self, req: Request<Incoming>) -> Response<EgressBody> {
        let handled = if req.method() == Method::CONNECT { self.tunnel(req).await } else { self.plain(req).await };
        handled.unwrap_or_else(|err| error_response(&err, "").map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    async fn tunnel(self, req: Request<Incoming>) -> Result<Response<EgressBody>, ApiError> {
        let authority =
            req.uri().authority().filter(|authority| has_no_user(authority)).ok_or_else(not_a_proxy_request)?;
        let port = authority.port_u16().ok_or_else(not_a_proxy_request)?;
        let upstream = connect(&self.policy, authority.host(), port).await?;
        let client = hyper::upgrade::on(req);
        let Self { tunnels, stop, permit, .. } = self;
        tunnels.spawn(async move {
            let _held = permit;
            let run = async {
                if let Ok(client) = client.await {
                    tunnel::run(TokioIo::new(client), upstream).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = run => {}
            }
        });
        Ok(Response::new(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()))
    }

    async fn plain(self, req: Request<Incoming>) -> Result<Response<EgressBody>, ApiError> {
        let uri = req.uri().clone();
        let authority = uri
            .authority()
            .filter(|authority| uri.scheme() == Some(&Scheme::HTTP) && has_no_user(authority))
            .ok_or_else(not_a_proxy_request)?;
        let stream = connect(&self.policy, authority.host(), authority.port_u16().unwrap_or(HTTP_PORT)).await?;
        tokio::time::timeout(FIRST_BYTE, send(stream, to_origin_form(req, &uri, authority)?))
            .await
            .map_err(|_| ApiError::new(ErrorCode::UpstreamTimeout, "the host did not answer in time"))?
    }
}

fn has_no_user(authority: &Authority) -> bool {
    !authority.as_str().contains('@')
}

fn to_origin_form(mut req: Request<Incoming>, uri: &Uri, authority: &Authority) -> Result<Request<Incoming>, ApiError> {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *req.uri_mut() = Uri::from(path);
    headers::remove_hop_by_hop(req.headers_mut());
    // RFC 9112 section 3.2.2: the target wins over whatever Host says.
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| not_a_proxy_request())?;
    req.headers_mut().insert(HOST, host);
    Ok(req)
}

async fn send(stream: TcpStream, req: Request<Incoming>) -> Result<Response<EgressBody>, ApiError> {
    let failed =
        |_| ApiError::new(ErrorCode::UpstreamFailed, "the host closed the connection without a valid response");
    let (mut sender, conn) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let conn = AbortOnDropHandle::new(tokio::spawn(conn));
    let mut response = sender.send_request(req).await.map_err(failed)?;
    headers::remove_hop_by_hop(response.headers_mut());
    Ok(response.map(|body| PlainBody { body, _conn: conn }.boxed_unsync()))
}

fn not_a_proxy_request() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidRequest,
        "this is a forward proxy: it takes CONNECT host:port, or http:// URLs in absolute form, without user names",
    )
}

/// A response that closes its connection when the client leaves.
struct PlainBody {
    body: Incoming,
    _conn: AbortOnDropHandle<hyper::Result<()>>,
}

impl Body for PlainBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
