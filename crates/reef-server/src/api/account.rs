//! Sign-in and sign-out.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reef_auth::{Action, Actor, Via, token};
use reef_store::UserRow;
use reef_types::{ApiError, ErrorCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app,
    http::{
        authenticate::{COOKIE, required, session_secret},
        context::Context,
        error::Outcome,
        extract::Body,
    },
    hub::Hub,
};

/// Of a name that was tried and is none.
const AUDITED_NAME_CHARS_MAX: usize = 40;

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(auth_login)).routes(routes!(auth_logout)).routes(routes!(auth_session))
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    name: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    /// None for the local socket before setup.
    id: Option<String>,
    name: String,
}

/// Who signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedIn {
    user: UserView,
}

/// Who asks, and how they proved it.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    user: UserView,
    /// `session`, `token` or `socket`.
    via: &'static str,
}

/// Signs in; the session is a cookie that pages cannot read.
#[utoipa::path(post, path = "/api/auth/login", operation_id = "auth_login", tag = "Account", security(()), request_body = Login, responses(
    (status = 200, body = SignedIn), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn auth_login(State(hub): State<Hub>, ctx: Context, Body(login): Body<Login>) -> Outcome<Response> {
    let from = format!("from {}", ctx.client_ip);
    let user = match app::account::sign_in(&hub.0, &login.name, login.password, ctx.client_ip).await {
        Ok(user) => user,
        Err(failure) => {
            // Tries that were braked are not written down: they are as many as somebody likes.
            if failure.0.code == ErrorCode::Unauthenticated {
                let name: String = login.name.chars().take(AUDITED_NAME_CHARS_MAX).collect();
                hub.0.store.audit_append(ctx.note("sign_in_failed", name, from)).await?;
            }
            return Err(failure);
        }
    };
    hub.0.store.audit_append(ctx.note("sign_in", user.name.clone(), from)).await?;
    with_session(&hub, user, StatusCode::OK).await
}

/// Ends the session; the cookie is worth nothing afterwards.
#[utoipa::path(post, path = "/api/auth/logout", operation_id = "auth_logout", tag = "Account", responses((status = 204)))]
async fn auth_logout(State(hub): State<Hub>, ctx: Context, headers: HeaderMap) -> Outcome<Response> {
    ctx.allow(Action::SessionRead)?;
    if let Some(hash) = session_secret(&headers).and_then(|secret| token::Kind::Session.hash_of(secret)) {
        hub.0.store.session_delete(hash).await?;
    }
    if let Some(id) = ctx.actor.as_ref().and_then(Actor::session) {
        hub.0.revocations.end(&id.to_string());
    }
    hub.0.store.audit_append(ctx.note("sign_out", "", "")).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie_header(&COOKIE.clear())?);
    Ok(response)
}

/// Who this request is from.
#[utoipa::path(get, path = "/api/auth/session", operation_id = "auth_session", tag = "Account", responses(
    (status = 200, body = SessionView), (status = 401, body = reef_types::error::ErrorBody)
))]
async fn auth_session(ctx: Context) -> Outcome<Json<SessionView>> {
    ctx.allow(Action::SessionRead)?;
    let (id, name, via) = match &ctx.actor {
        Some(Actor::Owner { user, name, via }) => {
            let via = if matches!(via, Via::Session(_)) { "session" } else { "token" };
            (Some(user.to_string()), name.clone(), via)
        }
        Some(Actor::Local { uid }) => (None, format!("uid {uid}"), "socket"),
        None => return Err(required().into()),
    };
    Ok(Json(SessionView { user: UserView { id, name }, via }))
}

/// Opens a session and answers with its cookie.
pub(super) async fn with_session(hub: &Hub, user: UserRow, status: StatusCode) -> Outcome<Response> {
    let secret = app::account::open_session(&hub.0, &user).await?;
    let signed_in = SignedIn { user: UserView { id: Some(user.id.to_string()), name: user.name } };
    let mut response = (status, Json(signed_in)).into_response();
    let cookie = COOKIE.set(secret.expose_secret(), app::account::SESSION_MAX);
    response.headers_mut().insert(header::SET_COOKIE, cookie_header(&cookie)?);
    Ok(response)
}

fn cookie_header(cookie: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(cookie)
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the session cookie could not be made"))?;
    value.set_sensitive(true);
    Ok(value)
}
