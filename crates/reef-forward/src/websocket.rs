//! A person's WebSocket to an instance: both upgrades, the authentication put in, and after that bytes.
//!
//! The instance side is connected first, so that what is wrong with it can still be told as an HTTP response. The client
//! never chooses a credential: its own is replaced by the handshake, and when that fails the connection ends at once.

mod frame;
mod handshake;
mod relay;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use http_body_util::Empty;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use reef_driver::{BoxIo, Handshake};
use reef_types::{ApiError, ErrorCode};
use sha1::{Digest, Sha1};
use tokio::{io::AsyncWriteExt, sync::watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{frame::CloseFrame, handshake::Sides, relay::End};
use crate::{ForwardBody, Forwarder, RequestContext, Route, error::error_response, forward::loopback_host, headers};

/// The gateway takes an upgrade on any path.
const UPSTREAM_PATH: &str = "/";
/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long a closing frame may take to be written, and how long the other side may take to answer it.
const CLOSE: Duration = Duration::from_secs(2);

/// Close codes (RFC 6455 section 7.4 and the registry).
mod code {
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const NOT_TEXT: u16 = 1007;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const RESTARTING: u16 = 1012;
    pub(super) const UNAVAILABLE: u16 = 1013;
}

/// Why a running connection is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The session or token that opened it has ended.
    SessionEnded,
    /// Its owner may not use this instance any more.
    RightWithdrawn,
}

impl Revocation {
    fn close_frame(self) -> CloseFrame {
        match self {
            Revocation::SessionEnded => CloseFrame::new(4401, "the session has ended"),
            Revocation::RightWithdrawn => CloseFrame::new(4403, "the right to use this instance was withdrawn"),
        }
    }
}

impl Forwarder {
    /// Connects a person's WebSocket to an instance and answers the upgrade request; every refusal before it comes in
    /// the one error shape. The connection then runs by itself until a side leaves, `revoked` holds a reason, or the
    /// forwarder drains. The caller has checked origin and rights.
    pub async fn upgrade<B>(
        &self,
        route: &Route,
        mut req: Request<B>,
        handshake: Box<dyn Handshake>,
        revoked: watch::Receiver<Option<Revocation>>,
        ctx: RequestContext,
    ) -> Response<ForwardBody> {
        let client = hyper::upgrade::on(&mut req);
        let key = check_request(&req);
        // What is in the request has been read; its body may not be shared between threads.
        drop(req);
        let result = match key {
            Ok(key) => self.try_upgrade(route, client, key, handshake, revoked, &ctx).await,
            Err(err) => Err(err),
        };
        result.unwrap_or_else(|err| {
            tracing::debug!(
                request_id = ctx.request_id, client_ip = %ctx.client_ip, actor = ctx.actor,
                instance = %route.id, code = err.code.as_str(), "upgrade refused"
            );
            let mut response = error_response(&err, &ctx.request_id);
            if err.field.as_deref() == Some(SEC_WEBSOCKET_VERSION.as_str()) {
                *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
                response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            response
        })
    }

    async fn try_upgrade(
        &self,
        route: &Route,
        client: OnUpgrade,
        key: HeaderValue,
        handshake: Box<dyn Handshake>,
        revoked: watch::Receiver<Option<Revocation>>,
        ctx: &RequestContext,
    ) -> Result<Response<ForwardBody>, ApiError> {
        self.check_open(route)?;
        let permit = self.peers.get(route.id).admit_socket()?;
        let running = self.sockets.token();
        let accept = accept_of(&key);

        let upstream = self.dial(route).await?;
        let upstream =
            tokio::time::timeout(self.limits.handshake, upgrade_upstream(upstream, route.port, key, &accept))
                .await
                .map_err(|_| {
                ApiError::new(ErrorCode::UpstreamTimeout, "the instance did not answer the upgrade in time")
            })??;

        let socket = Socket {
            handshake,
            revoked,
            ending: self.ending.clone(),
            handshake_limit: self.limits.handshake,
            stall_limit: self.limits.stall,
        };
        let (request_id, instance) = (ctx.request_id.clone(), route.id);
        tokio::spawn(async move {
            let _held = (permit, running);
            // A client that never completes its side of the upgrade drops the request, which ends this wait.
            let Ok(client) = client.await else { return };
            let end = socket.run(TokioIo::new(client), upstream).await;
            tracing::debug!(request_id, %instance, ?end, "WebSocket ended");
        });

        let mut response = Response::new(ForwardBody::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        Ok(response)
    }
}

/// The opening handshake as the server must check it (RFC 6455 section 4.2.1); returns the client's key.
fn check_request<B>(req: &Request<B>) -> Result<HeaderValue, ApiError> {
    let headers = req.headers();
    let upgrade = headers::lists(headers, &CONNECTION, "upgrade") && headers::lists(headers, &UPGRADE, "websocket");
    if req.method() != Method::GET || req.version() != Version::HTTP_11 || !upgrade {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "this path takes WebSocket connections only"));
    }
    if single(headers, SEC_WEBSOCKET_VERSION.as_str()).is_none_or(|value| value != "13") {
        return Err(ApiError::field(
            SEC_WEBSOCKET_VERSION.as_str(),
            "only version 13 of the WebSocket protocol is spoken",
        ));
    }
    single(headers, SEC_WEBSOCKET_KEY.as_str())
        .filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16))
        .cloned()
        .ok_or_else(|| ApiError::field(SEC_WEBSOCKET_KEY.as_str(), "the WebSocket key must be 16 bytes in base64"))
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn accept_of(key: &HeaderValue) -> HeaderValue {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(ACCEPT_GUID);
    HeaderValue::from_str(&STANDARD.encode(hash.finalize())).expect("base64 is a header value")
}

/// Opens the instance's side. No Origin, no cookies, no extensions (a compressed frame could not be rewritten); the
/// client's key serves a second time, since nothing rests on it but the detection of caches.
async fn upgrade_upstream(io: BoxIo, port: u16, key: HeaderValue, accept: &HeaderValue) -> Result<Upstream, ApiError> {
    let failed = |_| ApiError::new(ErrorCode::UpstreamFailed, "the instance did not accept the WebSocket");
    let (mut sender, conn) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    // The task ends by itself once the connection is upgraded; before that, giving up must close it.
    let _conn = AbortOnDropHandle::new(tokio::spawn(conn.with_upgrades()));

    let mut req = Request::new(Empty::<Bytes>::new());
    *req.uri_mut() = http::Uri::from_static(UPSTREAM_PATH);
    let headers = req.headers_mut();
    headers.insert(HOST, loopback_host(port));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);

    let response = sender.send_request(req).await.map_err(failed)?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS if response.headers().get(SEC_WEBSOCKET_ACCEPT) == Some(accept) => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            return Err(ApiError::new(ErrorCode::InstanceUnavailable, "the instance takes no connections now")
                .retry_after(1_000));
        }
        _ => return Err(ApiError::new(ErrorCode::UpstreamFailed, "the instance did not accept the WebSocket")),
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
    // Past hyper's own wrapping: one virtual call less for every read and write.
    let parts = upgraded
        .downcast::<TokioIo<BoxIo>>()
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the connection is not of the kind it was made of"))?;
    Ok(Upstream { io: parts.io.into_inner(), read: parts.read_buf })
}

/// The instance's side, with what was read of it already.
struct Upstream {
    io: BoxIo,
    read: Bytes,
}

/// One connection on its way.
struct Socket {
    handshake: Box<dyn Handshake>,
    revoked: watch::Receiver<Option<Revocation>>,
    ending: CancellationToken,
    handshake_limit: Duration,
    stall_limit: Duration,
}

impl Socket {
    async fn run(mut self, client: TokioIo<Upgraded>, upstream: Upstream) -> End {
        let mut sides = Sides::new(client, upstream.io, upstream.read);
        let cut_short = cut_short(&mut self.revoked, &self.ending);
        tokio::pin!(cut_short);
        let handshake = tokio::time::timeout(self.handshake_limit, sides.handshake(self.handshake.as_mut()));
        let result = tokio::select! {
            biased;
            frame = &mut cut_short => Err(frame),
            done = handshake => done.unwrap_or_else(|_| Err(sides.late())),
        };
        let (mut client, mut upstream, boundary) = match result {
            Ok(()) => sides.into_parts(),
            Err(frame) => {
                let (mut client, _upstream, _) = sides.into_parts();
                close(&mut client, &frame).await;
                return End::Closed(frame);
            }
        };
        // Whoever still holds a secret after this has no more use for it.
        drop(self.handshake);
        let mut relay = relay::Relay::new(&mut client, &mut upstream, boundary, self.stall_limit);
        let end = tokio::select! {
            biased;
            frame = &mut cut_short => End::Closed(frame),
            end = relay.run() => end,
        };
        let at_boundary = relay.client_at_boundary();
        drop(relay);
        if let End::Closed(frame) = &end {
            // In the middle of a message from the instance a closing frame would be taken for a part of it.
            if at_boundary {
                close(&mut client, frame).await;
            }
        } else {
            let _ = tokio::time::timeout(CLOSE, client.shutdown()).await;
        }
        end
    }
}

/// Waits for a reason from outside to end the connection.
async fn cut_short(revoked: &mut watch::Receiver<Option<Revocation>>, ending: &CancellationToken) -> CloseFrame {
    let withdrawn = async {
        match revoked.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            // Nobody is left who could withdraw anything.
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        reason = withdrawn => reason.close_frame(),
        () = ending.cancelled() => CloseFrame::new(code::RESTARTING, "the hub is restarting"),
    }
}

/// Sends a closing frame and waits a moment for the client to read it: closing with unread input would make the kernel
/// reset the connection and lose the frame.
async fn close(client: &mut TokioIo<Upgraded>, frame: &CloseFrame) {
    let polite = async {
        client.write_all(&frame.encode()).await?;
        client.shutdown().await?;
        tokio::io::copy(client, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(CLOSE, polite).await;
}

#[cfg(test)]
mod tests;
