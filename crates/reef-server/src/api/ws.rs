//! A person's own connection to an agent's gateway.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use reef_auth::Action;
use reef_driver::AgentCredential;
use reef_forward::RequestContext;
use reef_types::{ApiError, ErrorCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{instance, instance_secret},
    http::{context::Context, error::Outcome, extract::Path},
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(instance_connect))
}

/// Speaks the agent gateway's own protocol over a WebSocket; also reached as `/ws?instanceId=`. The hub authenticates the
/// connection: a client may send any token or none.
#[utoipa::path(get, path = "/api/instances/{id}/ws", operation_id = "instance_connect", tag = "Instances", params(("id" = String, Path)), responses(
    (status = 101, description = "The gateway's protocol follows"), (status = "4XX", body = reef_types::error::ErrorBody), (status = 503, body = reef_types::error::ErrorBody)
))]
async fn instance_connect(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    request: Request,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceConnect)?;
    let row = instance::find(&hub.0, &id).await?;
    let agent = crate::app::agent::kind(&hub.0, &row.spec.agent.kind)?;
    // Fails at once, and never falls back to anybody else's credential.
    let missing = || {
        ApiError::new(ErrorCode::InstanceUnavailable, "the instance has no credential; remove it and create it anew")
    };
    let secrets = instance_secret::load(&hub.0, row.spec.id).await?.ok_or_else(missing)?;
    let route = hub.0.routes.lookup(&id)?;
    let credential: &AgentCredential = &secrets.credential;
    let revoked = hub.0.revocations.watch(ctx.actor.as_ref());
    let context =
        RequestContext { request_id: ctx.request_id.clone(), client_ip: ctx.client_ip, actor: ctx.actor_name() };
    let response = hub.0.forwarder.upgrade(&route, request, agent.handshake(credential), revoked, context).await;
    hub.0.activity.lock().insert(row.spec.id, jiff::Timestamp::now());
    Ok(response.map(Body::new))
}
