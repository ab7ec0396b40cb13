//! Liveness and readiness.

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::system, hub::Hub};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(healthcheck))
}

/// The hub's process serves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    version: &'static str,
    uptime_ms: u64,
}

/// Whether the hub can do its work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Healthcheck {
    service: &'static str,
    /// `ready` or `unready`.
    status: &'static str,
    ready: bool,
    version: &'static str,
    /// The parts that are not ready; whether they are is public, why is not.
    unready: Vec<String>,
}

/// Liveness: answers as long as the process serves.
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "Health", security(()), responses((status = 200, body = Health)))]
async fn health(State(hub): State<Hub>) -> Json<Health> {
    let uptime_ms = hub.0.started_at.elapsed().as_millis() as u64;
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), uptime_ms })
}

/// Readiness: 503 names the parts that are not ready.
#[utoipa::path(get, path = "/healthcheck", operation_id = "healthcheck", tag = "Health", security(()), responses(
    (status = 200, body = Healthcheck), (status = 503, body = Healthcheck)
))]
async fn healthcheck(State(hub): State<Hub>) -> impl IntoResponse {
    let parts = system::parts(&hub.0).await;
    let mut unready: Vec<_> = parts.checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect();
    if hub.0.stopping.is_cancelled() {
        unready.push("stopping".to_owned());
    }
    let ready = unready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Healthcheck {
        service: "reef",
        status: if ready { "ready" } else { "unready" },
        ready,
        version: env!("CARGO_PKG_VERSION"),
        unready,
    };
    (status, Json(body))
}
