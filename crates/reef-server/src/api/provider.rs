//! Language-model providers.

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use reef_auth::Action;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::List;
use crate::{
    app::provider::{self, ProviderCreate, ProviderView},
    http::{
        context::Context,
        error::Outcome,
        extract::{Body, Path},
    },
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(provider_list, provider_create)).routes(routes!(provider_delete))
}

/// All providers, without their keys.
#[utoipa::path(get, path = "/api/providers", operation_id = "provider_list", tag = "Providers", responses((status = 200, body = List<ProviderView>)))]
async fn provider_list(State(hub): State<Hub>, ctx: Context) -> Outcome<Json<List<ProviderView>>> {
    ctx.allow(Action::ProviderRead)?;
    Ok(Json(List::whole(provider::list(&hub.0))))
}

/// Adds a provider. Running instances see its models after their next start.
#[utoipa::path(post, path = "/api/providers", operation_id = "provider_create", tag = "Providers", request_body = ProviderCreate, responses(
    (status = 201, body = ProviderView), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn provider_create(
    State(hub): State<Hub>,
    ctx: Context,
    Body(wish): Body<ProviderCreate>,
) -> Outcome<impl IntoResponse> {
    ctx.allow(Action::ProviderWrite)?;
    let audit = ctx.audit(Action::ProviderWrite, wish.name.clone(), "create");
    Ok((StatusCode::CREATED, Json(provider::create(&hub.0, wish, audit).await?)))
}

/// Removes a provider and its key.
#[utoipa::path(delete, path = "/api/providers/{name}", operation_id = "provider_delete", tag = "Providers", params(("name" = String, Path)), responses(
    (status = 204), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn provider_delete(State(hub): State<Hub>, ctx: Context, Path(name): Path<String>) -> Outcome<StatusCode> {
    ctx.allow(Action::ProviderWrite)?;
    let audit = ctx.audit(Action::ProviderWrite, name.clone(), "delete");
    provider::delete(&hub.0, &name, audit).await?;
    Ok(StatusCode::NO_CONTENT)
}
