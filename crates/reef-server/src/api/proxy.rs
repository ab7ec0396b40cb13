//! The agent's own HTTP surface.

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use reef_auth::Action;
use reef_forward::RequestContext;
use reef_types::{ApiError, ErrorCode};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    http::{
        context::Context,
        error::{Failure, Outcome},
        extract::Path,
    },
    hub::Hub,
};

#[derive(OpenApi)]
#[openapi(paths(instance_proxy))]
struct Document;

pub(super) fn routes() -> OpenApiRouter<Hub> {
    // Any method and any depth of path, for which the document has no words: it names one.
    OpenApiRouter::with_openapi(Document::openapi())
        .route("/api/instances/{id}/proxy", axum::routing::any(instance_proxy))
        .route("/api/instances/{id}/proxy/", axum::routing::any(instance_proxy))
        .route("/api/instances/{id}/proxy/{*path}", axum::routing::any(instance_proxy))
        .route("/api/instances/{id}/{*rest}", axum::routing::any(not_built))
}

/// Passes a request on to the agent's own HTTP server, streamed both ways, whatever its method. What comes back is served
/// in a sandbox: pages of an agent must not act as pages of the hub.
#[utoipa::path(get, path = "/api/instances/{id}/proxy/{path}", operation_id = "instance_proxy", tag = "Instances",
    params(("id" = String, Path), ("path" = String, Path)), responses(
    (status = 200, description = "Whatever the agent answers"), (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_proxy(State(hub): State<Hub>, ctx: Context, request: Request) -> Outcome<Response> {
    ctx.allow(Action::InstanceProxy)?;
    // The raw text of the path, since decoding it here would hide what the check of the forwarder is there for.
    let uri = request.uri();
    let mut segments = uri.path().splitn(6, '/').skip(3);
    let selector = segments.next().unwrap_or_default();
    let rest = segments.nth(1).unwrap_or_default();
    let upstream = match uri.query() {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    let route = hub.0.routes.lookup(selector).map_err(|err| ApiError { code: ErrorCode::InstanceNotFound, ..err })?;
    let context =
        RequestContext { request_id: ctx.request_id.clone(), client_ip: ctx.client_ip, actor: ctx.actor_name() };
    Ok(hub.0.forwarder.forward(&route, request, &upstream, context).await.map(Body::new))
}

/// Instance-scoped paths that the contract has and this version has not.
async fn not_built(
    State(hub): State<Hub>,
    ctx: Context,
    Path((id, rest)): Path<(String, String)>,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceRead)?;
    crate::app::instance::find(&hub.0, &id).await?;
    let known = reef_forward::selector::is_instance_path(&rest);
    let (code, message) = if known {
        (ErrorCode::NotImplemented, "this part of the API is not built yet")
    } else {
        (ErrorCode::NotFound, "there is nothing at this path; the OpenAPI document lists what there is")
    };
    Ok(Failure(ApiError::new(code, message)).into_response())
}
