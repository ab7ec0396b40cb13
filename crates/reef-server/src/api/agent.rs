//! Agent kinds and versions.

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use reef_auth::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::job::JobBody;
use crate::{
    app::agent::{self, AgentView},
    http::{
        context::Context,
        error::Outcome,
        extract::{Body, Path},
    },
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(agent_list))
        .routes(routes!(agent_version_install))
        .routes(routes!(agent_version_remove))
}

/// All kinds of agents.
#[derive(Debug, Serialize, ToSchema)]
struct Agents {
    kinds: Vec<AgentView>,
}

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionInstall {
    version: String,
}

/// Kinds of agents, tested versions, installed versions.
#[utoipa::path(get, path = "/api/agents", operation_id = "agent_list", tag = "Agents", responses((status = 200, body = Agents)))]
async fn agent_list(State(hub): State<Hub>, ctx: Context) -> Outcome<Json<Agents>> {
    ctx.allow(Action::AgentRead)?;
    Ok(Json(Agents { kinds: agent::list(&hub.0).await? }))
}

/// Installs a version.
#[utoipa::path(post, path = "/api/agents/{kind}/versions", operation_id = "agent_version_install", tag = "Agents",
    params(("kind" = String, Path)), request_body = VersionInstall, responses(
    (status = 202, body = JobBody), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn agent_version_install(
    State(hub): State<Hub>,
    ctx: Context,
    Path(kind): Path<String>,
    Body(wish): Body<VersionInstall>,
) -> Outcome<impl IntoResponse> {
    ctx.allow(Action::AgentInstall)?;
    let audit = ctx.audit(Action::AgentInstall, format!("{kind}@{}", wish.version), "");
    let job = agent::install(&hub.0, &kind, &wish.version, audit).await?;
    Ok((StatusCode::ACCEPTED, Json(JobBody { job })))
}

/// Removes a version that no instance uses.
#[utoipa::path(delete, path = "/api/agents/{kind}/versions/{version}", operation_id = "agent_version_remove", tag = "Agents",
    params(("kind" = String, Path), ("version" = String, Path)), responses(
    (status = 204), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn agent_version_remove(
    State(hub): State<Hub>,
    ctx: Context,
    Path((kind, version)): Path<(String, String)>,
) -> Outcome<StatusCode> {
    ctx.allow(Action::AgentRemove)?;
    let audit = ctx.audit(Action::AgentRemove, format!("{kind}@{version}"), "");
    agent::remove(&hub.0, &kind, &version, audit).await?;
    Ok(StatusCode::NO_CONTENT)
}
