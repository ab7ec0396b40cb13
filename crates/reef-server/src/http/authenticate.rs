//! Finds out who sends a request: the local socket, an API token, or a session cookie.

use http::{HeaderMap, Method, header};
use reef_auth::{Actor, Scopes, Via, cookie::SessionCookie, token};
use reef_types::{ApiError, ErrorCode};

use super::{error::store_error, known::Reading, listener::Peer};
use crate::hub::Inner;

/// The hub itself speaks plain HTTP, on loopback only; there `Secure` would lose the cookie in some browsers.
pub(crate) const COOKIE: SessionCookie = SessionCookie { https: false };

/// What may be called before anybody is known.
pub(crate) fn is_public(method: &Method, path: &str) -> bool {
    matches!((method.as_str(), path), ("GET" | "POST", "/api/setup") | ("POST", "/api/auth/login"))
}

pub(crate) fn required() -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, "sign in, or send an API token as `Authorization: Bearer reef_…`")
}

/// The actor of a request, if it names one. A token that is sent must be good: a bad one is refused, not ignored.
pub(crate) async fn actor(hub: &Inner, peer: Option<Peer>, headers: &HeaderMap) -> Result<Option<Actor>, ApiError> {
    if let Some(Peer::Local { uid }) = peer {
        return Ok(Some(Actor::Local { uid }));
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return bearer(hub, value).await.map(Some);
    }
    match session_secret(headers) {
        Some(secret) => session(hub, secret).await,
        None => Ok(None),
    }
}

/// The session secret that a request carries.
pub(crate) fn session_secret(headers: &HeaderMap) -> Option<&str> {
    COOKIE.read(headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()))
}

async fn bearer(hub: &Inner, value: &http::HeaderValue) -> Result<Actor, ApiError> {
    let refused = || ApiError::new(ErrorCode::Unauthenticated, "the API token is not known; it may have been removed");
    let text = value.to_str().map_err(|_| refused())?;
    let secret = text.strip_prefix("Bearer ").ok_or_else(required)?;
    let hash = token::Kind::Api.hash_of(secret).ok_or_else(refused)?;
    let reading = Reading::begin(&hub.store);
    if let Some(actor) = hub.known.get(&hash, reading) {
        return Ok(actor);
    }
    let row = hub.store.token_by_hash(hash).await.map_err(|err| store_error(&err))?.ok_or_else(refused)?;
    let user = hub.store.user_get(row.user).await.map_err(|err| store_error(&err))?.ok_or_else(refused)?;
    let scopes = Scopes::parse(&row.scopes).map_err(|_| refused())?;
    if let Err(err) = hub.store.token_touch(row.id, jiff::Timestamp::now()).await {
        tracing::warn!(error = %err, "the use of a token was not written down");
    }
    let actor = Actor::Owner { user: user.id, name: user.name, via: Via::Token { id: row.id, scopes } };
    hub.known.put(hash, &actor, row.expires_at, reading);
    Ok(actor)
}

/// A cookie that is not good any more is the same as none: the page shows the sign-in.
async fn session(hub: &Inner, secret: &str) -> Result<Option<Actor>, ApiError> {
    let Some(hash) = token::Kind::Session.hash_of(secret) else { return Ok(None) };
    let reading = Reading::begin(&hub.store);
    if let Some(actor) = hub.known.get(&hash, reading) {
        return Ok(Some(actor));
    }
    let Some(row) = hub.store.session_get(hash).await.map_err(|err| store_error(&err))? else { return Ok(None) };
    let user = hub.store.user_get(row.user).await.map_err(|err| store_error(&err))?;
    let actor = user.map(|user| Actor::Owner { user: user.id, name: user.name, via: Via::Session(row.id) });
    if let Some(actor) = &actor {
        hub.known.put(hash, actor, Some(row.idle_expires_at.min(row.expires_at)), reading);
    }
    Ok(actor)
}
