//! Server-sent events, as the HTML standard writes them (section 9.2, "Server-sent events").

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, header};
use serde::Serialize;

use super::context::Context;
use crate::hub::Hub;

/// A comment-free heartbeat: proxies cut silent streams, and clients learn of dead ones.
const PING_EVERY: Duration = Duration::from_secs(15);

/// One event, ready to be sent.
#[derive(Debug)]
pub(crate) struct Frame(Bytes);

impl Frame {
    /// `data` is one line already (JSON).
    pub(crate) fn raw(name: &str, id: Option<&str>, data: &str) -> Self {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        Self(Bytes::from(format!("event: {name}\n{id}data: {data}\n\n")))
    }

    pub(crate) fn json<T: Serialize>(name: &str, data: &T) -> Self {
        Self::raw(name, None, &serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned()))
    }
}

/// A response that sends the stream, and a `ping` whenever it is silent. It ends with the stream, with the session or token
/// that asked for it, or with the hub.
pub(crate) fn response(frames: impl Stream<Item = Frame> + Send + 'static, hub: &Hub, ctx: &Context) -> Response {
    let (frames, stopping) = (Box::pin(frames), hub.0.stopping.clone());
    let revoked = hub.0.revocations.watch(ctx.actor.as_ref());
    let body = stream::unfold((frames, stopping, revoked), |(mut frames, stopping, mut revoked)| async move {
        let frame = tokio::select! {
            biased;
            () = stopping.cancelled() => None,
            _ = revoked.wait_for(Option::is_some) => None,
            frame = tokio::time::timeout(PING_EVERY, frames.next()) => match frame {
                Ok(frame) => frame,
                Err(_) => Some(Frame::raw("ping", None, "{}")),
            },
        };
        frame.map(|frame| (Ok::<_, Infallible>(frame.0), (frames, stopping, revoked)))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Asks buffering proxies in front of the hub to let events through at once.
    headers.insert(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
