//! What this machine can do.

use axum::{Json, extract::State};
use reef_auth::Action;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::system::{self, SystemView},
    http::{context::Context, error::Outcome},
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(system_get))
}

/// Checks of the hub's parts, and which limits hold on this machine.
#[utoipa::path(get, path = "/api/system", operation_id = "system_get", tag = "System", responses((status = 200, body = SystemView)))]
async fn system_get(State(hub): State<Hub>, ctx: Context) -> Outcome<Json<SystemView>> {
    ctx.allow(Action::SystemRead)?;
    Ok(Json(system::view(&hub.0).await))
}
