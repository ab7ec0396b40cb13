//! Jobs.

use axum::{Json, extract::State};
use reef_auth::Action;
use reef_types::Job;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::List;
use crate::{
    app::job,
    http::{context::Context, error::Outcome, extract::Path},
    hub::Hub,
};

/// Jobs on one page; older ones are thrown away anyway.
const JOBS_LISTED_MAX: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(job_list)).routes(routes!(job_get)).routes(routes!(job_cancel))
}

/// One job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobBody {
    pub(super) job: Job,
}

/// The newest jobs first.
#[utoipa::path(get, path = "/api/jobs", operation_id = "job_list", tag = "Jobs", responses((status = 200, body = List<Job>)))]
async fn job_list(State(hub): State<Hub>, ctx: Context) -> Outcome<Json<List<Job>>> {
    ctx.allow(Action::JobRead)?;
    Ok(Json(List::whole(hub.0.store.job_list(JOBS_LISTED_MAX).await?)))
}

/// One job.
#[utoipa::path(get, path = "/api/jobs/{id}", operation_id = "job_get", tag = "Jobs", params(("id" = String, Path)), responses(
    (status = 200, body = JobBody), (status = 404, body = reef_types::error::ErrorBody)
))]
async fn job_get(State(hub): State<Hub>, ctx: Context, Path(id): Path<String>) -> Outcome<Json<JobBody>> {
    ctx.allow(Action::JobRead)?;
    let id = id.parse().map_err(|_| job::not_found())?;
    let job = hub.0.store.job_get(id).await?.ok_or_else(job::not_found)?;
    Ok(Json(JobBody { job }))
}

/// Cancels a job that can be cancelled: an installation, or a start.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", operation_id = "job_cancel", tag = "Jobs", params(("id" = String, Path)), responses(
    (status = 200, body = JobBody), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn job_cancel(State(hub): State<Hub>, ctx: Context, Path(id): Path<String>) -> Outcome<Json<JobBody>> {
    ctx.allow(Action::JobCancel)?;
    let audit = ctx.audit(Action::JobCancel, id.clone(), "");
    let id = id.parse().map_err(|_| job::not_found())?;
    Ok(Json(JobBody { job: job::cancel(&hub.0, id, audit).await? }))
}
