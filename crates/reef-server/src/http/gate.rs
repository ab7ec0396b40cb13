//! What every request goes through, in this order: request id, host, authentication, origin, selector, then the router;
//! on the way back: the request id in error bodies, and the headers that keep browsers strict.

use std::time::Instant;

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};
use reef_forward::selector::{self, Selection};
use reef_types::{ApiError, ErrorCode};
use tower::ServiceExt;

use super::{
    authenticate,
    context::RequestId,
    error::{FailureNote, error_response},
    listener::Peer,
    origin,
};
use crate::hub::Hub;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn pass(hub: Hub, router: axum::Router, mut request: Request<Body>) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match prepare(&hub, &mut request).await {
        Ok(()) => match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(err) => error_response(&err, &id.0),
    };
    let response = finish(response, &id, path.starts_with("/api/"));
    // Paths hold names and ids, never secrets; queries are not logged.
    tracing::debug!(%method, path, status = response.status().as_u16(), request_id = %id.0, elapsed_us = started.elapsed().as_micros() as u64, "request");
    response
}

async fn prepare(hub: &Hub, request: &mut Request<Body>) -> Result<(), ApiError> {
    origin::check_host(&hub.0, request)?;
    if is_api(request.uri().path()) {
        let peer = request.extensions().get::<Peer>().copied();
        let actor = authenticate::actor(&hub.0, peer, request.headers()).await?;
        origin::check(&hub.0, actor.as_ref(), request)?;
        match actor {
            Some(actor) => {
                request.extensions_mut().insert(actor);
            }
            None if authenticate::is_public(request.method(), request.uri().path()) => {}
            None => return Err(authenticate::required()),
        }
    }
    select(request)
}

fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || path == "/ws" || path == "/metrics"
}

/// Turns a selector into the one path that every instance-scoped route has.
fn select(request: &mut Request<Body>) -> Result<(), ApiError> {
    let uri = request.uri();
    if let Selection::Instance { selector, rest, .. } = selector::select(uri.path(), request.headers(), uri.query())? {
        let invalid = |_| ApiError::new(ErrorCode::InvalidProxyPath, "the path cannot be routed");
        let path = format!("/api/instances/{selector}{rest}");
        let path = PathAndQuery::try_from(path).map_err(invalid)?;
        *request.uri_mut() = Uri::from(path);
        request.headers_mut().remove(selector::SELECTOR_HEADER);
    }
    Ok(())
}

fn finish(mut response: Response, id: &RequestId, api: bool) -> Response {
    if let Some(FailureNote(err)) = response.extensions_mut().remove::<FailureNote>() {
        let headers = std::mem::take(response.headers_mut());
        response = error_response(&err, &id.0);
        for (name, value) in &headers {
            if !response.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header());
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if api {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}
