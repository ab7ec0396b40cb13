//! Instances.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use reef_auth::Action;
use reef_store::InstanceRow;
use reef_types::{ApiError, ErrorCode, InstanceView, Job, JobState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{
        instance::{self, InstanceCreate, Wish},
        job,
    },
    http::{
        context::Context,
        error::Outcome,
        extract::{Body, Path, Query},
    },
    hub::Hub,
};

/// The longest that a request may wait for a job.
const WAIT_MS_MAX: u64 = 300_000;

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(instance_list, instance_create))
        .routes(routes!(instance_view, instance_delete))
        .routes(routes!(instance_start))
        .routes(routes!(instance_stop))
        .routes(routes!(instance_restart))
        .routes(routes!(instance_token))
        .routes(routes!(instance_credentials))
}

/// All instances, in every state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Instances {
    #[schema(value_type = String, format = DateTime)]
    updated_at: jiff::Timestamp,
    instances: Vec<InstanceView>,
}

/// An instance, and the job that brings it where it was asked to be.
#[derive(Debug, Serialize, ToSchema)]
struct InstanceBody {
    instance: InstanceView,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
}

/// Which instances are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// `key` or `key=value`.
    label: Option<String>,
    phase: Option<reef_types::Phase>,
    driver: Option<String>,
}

/// Whether to wait for the end of the job.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct Wait {
    /// `ready` (or `done`): answer when the job is settled.
    wait: Option<String>,
    /// At most 300000, which is also the default.
    timeout_ms: Option<u64>,
}

/// What goes with a removed instance.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct DeleteQuery {
    /// `delete` (default) or `keep`: state, workspace and home.
    data: Option<String>,
    /// `done`: answer when the job is settled.
    wait: Option<String>,
    timeout_ms: Option<u64>,
}

/// Lists instances by name; stopped and failed ones too.
#[utoipa::path(get, path = "/api/instances", operation_id = "instance_list", tag = "Instances", params(Filter), responses((status = 200, body = Instances)))]
async fn instance_list(State(hub): State<Hub>, ctx: Context, Query(filter): Query<Filter>) -> Outcome<Json<Instances>> {
    ctx.allow(Action::InstanceList)?;
    let mut instances = instance::views(&hub.0).await?;
    instances.retain(|view| {
        let label = filter.label.as_deref().is_none_or(|label| match label.split_once('=') {
            Some((key, value)) => view.labels.get(key).is_some_and(|v| v == value),
            None => view.labels.contains_key(label),
        });
        label
            && filter.phase.is_none_or(|p| p == view.phase)
            && filter.driver.as_ref().is_none_or(|d| *d == view.driver)
    });
    Ok(Json(Instances { updated_at: jiff::Timestamp::now(), instances }))
}

/// Creates an instance and starts it.
#[utoipa::path(post, path = "/api/instances", operation_id = "instance_create", tag = "Instances", params(Wait), request_body = InstanceCreate, responses(
    (status = 202, body = InstanceBody, description = "The job goes on"), (status = 201, body = InstanceBody, description = "Ready"),
    (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_create(
    State(hub): State<Hub>,
    ctx: Context,
    Query(wait): Query<Wait>,
    Body(wish): Body<InstanceCreate>,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceCreate)?;
    wait.check()?;
    let audit = ctx.audit(Action::InstanceCreate, wish.name.clone(), "");
    let (row, job) = instance::create(&hub.0, wish, audit).await?;
    answer(&hub, row, Some(job), &wait, StatusCode::CREATED).await
}

/// One instance, by id or name.
#[utoipa::path(get, path = "/api/instances/{id}", operation_id = "instance_view", tag = "Instances", params(("id" = String, Path)), responses(
    (status = 200, body = InstanceView), (status = 404, body = reef_types::error::ErrorBody)
))]
async fn instance_view(State(hub): State<Hub>, ctx: Context, Path(id): Path<String>) -> Outcome<Json<InstanceView>> {
    ctx.allow(Action::InstanceRead)?;
    let row = instance::find(&hub.0, &id).await?;
    Ok(Json(instance::view(&hub.0, &row).await))
}

/// Removes an instance. The job's message says exactly what was removed and what was kept.
#[utoipa::path(delete, path = "/api/instances/{id}", operation_id = "instance_delete", tag = "Instances", params(("id" = String, Path), DeleteQuery), responses(
    (status = 202, body = InstanceBody), (status = 200, body = InstanceBody, description = "Gone"),
    (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_delete(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceDelete)?;
    let data = match query.data.as_deref() {
        None | Some("delete") => true,
        Some("keep") => false,
        Some(_) => return Err(ApiError::field("data", "`delete` or `keep`").into()),
    };
    let wait = Wait { wait: query.wait, timeout_ms: query.timeout_ms };
    act(&hub, &ctx, Action::InstanceDelete, &id, Wish::Delete { data }, &wait).await
}

/// Starts an instance; a running one is left alone.
#[utoipa::path(post, path = "/api/instances/{id}/start", operation_id = "instance_start", tag = "Instances", params(("id" = String, Path), Wait), responses(
    (status = 202, body = InstanceBody), (status = 200, body = InstanceBody, description = "Nothing to do, or ready"),
    (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_start(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Outcome<Response> {
    act(&hub, &ctx, Action::InstanceStart, &id, Wish::Start, &wait).await
}

/// Stops an instance; a stopped one is left alone.
#[utoipa::path(post, path = "/api/instances/{id}/stop", operation_id = "instance_stop", tag = "Instances", params(("id" = String, Path), Wait), responses(
    (status = 202, body = InstanceBody), (status = 200, body = InstanceBody, description = "Nothing to do, or stopped"),
    (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_stop(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Outcome<Response> {
    act(&hub, &ctx, Action::InstanceStop, &id, Wish::Stop, &wait).await
}

/// Stops an instance if it runs, then starts it.
#[utoipa::path(post, path = "/api/instances/{id}/restart", operation_id = "instance_restart", tag = "Instances", params(("id" = String, Path), Wait), responses(
    (status = 202, body = InstanceBody), (status = 200, body = InstanceBody, description = "Ready"),
    (status = "4XX", body = reef_types::error::ErrorBody), (status = "5XX", body = reef_types::error::ErrorBody)
))]
async fn instance_restart(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Outcome<Response> {
    act(&hub, &ctx, Action::InstanceRestart, &id, Wish::Restart, &wait).await
}

impl Wait {
    fn check(&self) -> Result<(), ApiError> {
        match self.wait.as_deref() {
            None | Some("ready" | "done") => Ok(()),
            Some(_) => Err(ApiError::field("wait", "`ready` or `done`, or leave it out")),
        }
    }
}

async fn act(hub: &Hub, ctx: &Context, action: Action, id: &str, wish: Wish, wait: &Wait) -> Outcome<Response> {
    ctx.allow(action)?;
    wait.check()?;
    let row = instance::find(&hub.0, id).await?;
    let audit = ctx.audit(action, row.spec.id.to_string(), format!("{wish:?}"));
    let (row, job) = instance::want(&hub.0, row, wish, audit).await?;
    answer(hub, row, job, wait, StatusCode::OK).await
}

/// 202 with the job, or, when asked to wait, the end of it.
async fn answer(hub: &Hub, row: InstanceRow, job: Option<Job>, wait: &Wait, settled: StatusCode) -> Outcome<Response> {
    let view = instance::view(&hub.0, &row).await;
    let Some(job) = job else {
        return Ok((StatusCode::OK, Json(InstanceBody { instance: view, job: None })).into_response());
    };
    if wait.wait.is_none() {
        return Ok((StatusCode::ACCEPTED, Json(InstanceBody { instance: view, job: Some(job) })).into_response());
    }
    let limit = Duration::from_millis(wait.timeout_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX));
    let job = job::wait(&hub.0, job, limit).await?;
    let instance = match hub.0.store.instance_get(row.spec.id).await? {
        Some(row) => instance::view(&hub.0, &row).await,
        None => view,
    };
    match job.state {
        JobState::Done => Ok((settled, Json(InstanceBody { instance, job: Some(job) })).into_response()),
        JobState::Failed => {
            let message = job.message.clone().unwrap_or_else(|| "the job failed".to_owned());
            let details = serde_json::json!({ "reason": job.reason, "jobId": job.id, "instanceId": row.spec.id });
            Err(ApiError::new(ErrorCode::InstanceFailed, message).with_details(details).into())
        }
        _ => Err(ApiError::new(ErrorCode::InstanceBusy, "the job was cancelled or replaced by a newer request").into()),
    }
}

/// The gateway's token of one instance.
#[derive(Serialize, ToSchema)]
struct InstanceToken {
    token: String,
}

/// The instance's own gateway token. Audited; no side effect.
#[utoipa::path(get, path = "/api/instances/{id}/token", operation_id = "instance_token", tag = "Instances", params(("id" = String, Path)), responses(
    (status = 200, body = InstanceToken), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn instance_token(State(hub): State<Hub>, ctx: Context, Path(id): Path<String>) -> Outcome<Json<InstanceToken>> {
    ctx.allow(Action::InstanceToken)?;
    let row = instance::find(&hub.0, &id).await?;
    hub.0.store.audit_append(ctx.audit(Action::InstanceToken, row.spec.id.to_string(), "")).await?;
    Ok(Json(InstanceToken { token: instance::gateway_token(&hub.0, &row).await? }))
}

/// Credentials that a new instance can be given.
#[derive(Debug, Serialize, ToSchema)]
struct Credentials {
    types: Vec<String>,
    configurations: Vec<String>,
}

/// Credentials that can be copied into an instance: none in this version, models come through the broker.
#[utoipa::path(get, path = "/api/instances/credentials", operation_id = "instance_credentials", tag = "Instances", responses((status = 200, body = Credentials)))]
async fn instance_credentials(ctx: Context) -> Outcome<Json<Credentials>> {
    ctx.allow(Action::CredentialList)?;
    Ok(Json(Credentials { types: Vec::new(), configurations: Vec::new() }))
}
