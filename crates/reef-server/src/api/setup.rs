//! The first start.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::account::{SignedIn, with_session};
use crate::{
    app,
    http::{context::Context, error::Outcome, extract::Body},
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(setup_get, setup_run))
}

/// Whether somebody has to take this hub into possession.
#[derive(Debug, Serialize, ToSchema)]
struct SetupState {
    required: bool,
}

/// The first owner.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetupRun {
    /// From the setup link; not needed over the local socket.
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
    name: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Whether this hub still needs an owner.
#[utoipa::path(get, path = "/api/setup", operation_id = "setup_get", tag = "Setup", security(()), responses((status = 200, body = SetupState)))]
async fn setup_get(State(hub): State<Hub>) -> Outcome<Json<SetupState>> {
    Ok(Json(SetupState { required: !hub.0.store.owner_exists().await? }))
}

/// Makes the owner with the one-time code, and signs them in.
#[utoipa::path(post, path = "/api/setup", operation_id = "setup_run", tag = "Setup", security(()), request_body = SetupRun, responses(
    (status = 201, body = SignedIn), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn setup_run(State(hub): State<Hub>, ctx: Context, Body(wish): Body<SetupRun>) -> Outcome<impl IntoResponse> {
    let audit = ctx.note("setup", wish.name.clone(), "");
    let user = app::setup::run(&hub.0, ctx.actor.as_ref(), wish.code.as_ref(), wish.name, wish.password, audit).await?;
    with_session(&hub, user, StatusCode::CREATED).await
}
