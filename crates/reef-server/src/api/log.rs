//! What an instance writes to its standard output and error.

use axum::{extract::State, response::Response};
use futures_util::{StreamExt, stream};
use reef_auth::Action;
use reef_driver::LogQuery;
use reef_types::{ApiError, ErrorCode};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::instance,
    http::{
        context::Context,
        error::Outcome,
        extract::{Path, Query},
        sse::{self, Frame},
    },
    hub::Hub,
};

/// Lines that one request may ask for.
const TAIL_LINES_MAX: usize = 10_000;
const TAIL_LINES: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(instance_logs))
}

/// Which lines are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogParams {
    /// The last so many lines; 200 by default, at most 10000.
    tail: Option<usize>,
    /// Stay and send what comes.
    follow: Option<bool>,
}

/// Log lines as server-sent events: `line`, then `end` unless `follow` was asked for.
#[utoipa::path(get, path = "/api/instances/{id}/logs", operation_id = "instance_logs", tag = "Instances", params(("id" = String, Path), LogParams), responses(
    (status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn instance_logs(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
    Query(params): Query<LogParams>,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceLogs)?;
    let row = instance::find(&hub.0, &id).await?;
    let driver = hub.0.drivers.get(row.spec.driver.as_str()).cloned();
    let driver = driver.ok_or_else(|| ApiError::new(ErrorCode::DriverUnavailable, "this hub has no such driver"))?;
    let tail = params.tail.unwrap_or(TAIL_LINES);
    if tail > TAIL_LINES_MAX {
        return Err(ApiError::field("tail", format!("at most {TAIL_LINES_MAX}")).into());
    }
    let lines = driver.logs(row.spec.id, LogQuery { tail, follow: params.follow.unwrap_or(false) });
    let frames = lines.map(|line| match line {
        Ok(line) => Frame::json("line", &line),
        Err(err) => Frame::json("error", &serde_json::json!({ "code": err.reason, "message": err.message })),
    });
    let end = stream::once(async { Frame::raw("end", None, "{}") });
    Ok(sse::response(frames.chain(end), &hub, &ctx))
}
