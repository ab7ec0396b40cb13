//! API tokens.

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use reef_auth::Action;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::List;
use crate::{
    app::token::{self, TokenCreate, TokenView},
    http::{
        context::Context,
        error::Outcome,
        extract::{Body, Path},
    },
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(token_list, token_create)).routes(routes!(token_delete))
}

/// A new token and its secret, shown this once.
#[derive(Serialize, ToSchema)]
struct TokenCreated {
    token: TokenView,
    secret: String,
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/api/tokens", operation_id = "token_list", tag = "Tokens", responses((status = 200, body = List<TokenView>)))]
async fn token_list(State(hub): State<Hub>, ctx: Context) -> Outcome<Json<List<TokenView>>> {
    ctx.allow(Action::TokenRead)?;
    Ok(Json(List::whole(token::list(&hub.0).await?)))
}

/// Makes a token.
#[utoipa::path(post, path = "/api/tokens", operation_id = "token_create", tag = "Tokens", request_body = TokenCreate, responses(
    (status = 201, body = TokenCreated), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn token_create(
    State(hub): State<Hub>,
    ctx: Context,
    Body(wish): Body<TokenCreate>,
) -> Outcome<impl IntoResponse> {
    ctx.allow(Action::TokenWrite)?;
    let audit = ctx.audit(Action::TokenWrite, wish.name.clone(), "create");
    let (token, secret) = token::create(&hub.0, ctx.actor.as_ref(), wish, audit).await?;
    Ok((StatusCode::CREATED, Json(TokenCreated { token, secret: secret.expose_secret().to_owned() })))
}

/// Removes a token; it is refused from then on.
#[utoipa::path(delete, path = "/api/tokens/{id}", operation_id = "token_delete", tag = "Tokens", params(("id" = String, Path)), responses(
    (status = 204), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn token_delete(State(hub): State<Hub>, ctx: Context, Path(id): Path<String>) -> Outcome<StatusCode> {
    ctx.allow(Action::TokenWrite)?;
    let audit = ctx.audit(Action::TokenWrite, id.clone(), "delete");
    token::delete(&hub.0, &id, audit).await?;
    hub.0.revocations.end(&id);
    Ok(StatusCode::NO_CONTENT)
}
