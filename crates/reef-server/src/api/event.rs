//! The hub's events.

use std::collections::VecDeque;

use axum::{extract::State, response::Response};
use futures_util::stream;
use http::HeaderMap;
use reef_auth::Action;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{
        context::Context,
        error::Outcome,
        sse::{self, Frame},
    },
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(event_stream))
}

/// Everything that changes: `hello`, `instance`, `instanceRemoved`, `job`, `ping`. Resumable by `Last-Event-ID`; a `hello`
/// with `resumed: false` means that everything has to be read again.
#[utoipa::path(get, path = "/api/events", operation_id = "event_stream", tag = "Events", responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn event_stream(State(hub): State<Hub>, ctx: Context, headers: HeaderMap) -> Outcome<Response> {
    ctx.allow(Action::EventsRead)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let subscription = hub.0.bus.subscribe(last);
    let hello = json!({ "version": env!("CARGO_PKG_VERSION"), "resumed": subscription.resumed });
    // On a resumed stream the missed events carry the ids; a `hello` with a later one would hide them from a second try.
    let hello_id = (!subscription.resumed).then_some(subscription.last_id.as_str());
    let mut pending = VecDeque::from([Frame::raw("hello", hello_id, &hello.to_string())]);
    pending.extend(subscription.missed.iter().map(|e| Frame::raw(e.name, Some(&hub.0.bus.id(e.seq)), &e.data)));
    let source = hub.clone();
    let frames = stream::unfold((pending, subscription.receiver), move |(mut pending, mut receiver)| {
        let hub = source.clone();
        async move {
            if let Some(frame) = pending.pop_front() {
                return Some((frame, (pending, receiver)));
            }
            match receiver.recv().await {
                Ok(event) => {
                    let frame = Frame::raw(event.name, Some(&hub.0.bus.id(event.seq)), &event.data);
                    Some((frame, (pending, receiver)))
                }
                // Too slow: the client comes back and is told what it missed, or to read everything again.
                Err(RecvError::Lagged(_) | RecvError::Closed) => None,
            }
        }
    });
    Ok(sse::response(frames, &hub, &ctx))
}
