//! The HTTP API: thin handlers, one file per resource. A route cannot exist without being in the OpenAPI document.

mod account;
mod agent;
mod chat;
mod event;
mod health;
mod instance;
mod job;
mod log;
mod metrics;
mod provider;
mod proxy;
mod setup;
mod system;
mod token;
mod ws;

use axum::Router;
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    http::extract::{method_not_allowed, not_found},
    hub::Hub,
    ui,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Reef",
        description = "One place to run many isolated AI agents. Every failure has the same body, see `ErrorBody`.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(reef_types::error::ErrorBody, reef_types::chat::ChatItem, reef_types::chat::ChatRun)),
    security(("session" = []), ("token" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        let cookie = ApiKey::Cookie(ApiKeyValue::new("reef_session"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// A list; `nextCursor` is null on its last page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that always fits on one page, because its resource is bounded.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(setup::routes())
        .merge(account::routes())
        .merge(token::routes())
        .merge(instance::routes())
        .merge(chat::routes())
        .merge(log::routes())
        .merge(proxy::routes())
        .merge(ws::routes())
        .merge(event::routes())
        .merge(job::routes())
        .merge(agent::routes())
        .merge(provider::routes())
        .merge(system::routes())
}

/// The OpenAPI document, as it is committed in `openapi/reef.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// All routes: the API, then the page.
pub(crate) fn router(hub: &Hub) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .route("/api", axum::routing::any(not_found))
        .route("/api/", axum::routing::any(not_found))
        .route("/api/{*rest}", axum::routing::any(not_found))
        // Without this, the page would answer for it.
        .route("/ws", axum::routing::any(not_found))
        .fallback(ui::serve)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(hub.clone())
}
