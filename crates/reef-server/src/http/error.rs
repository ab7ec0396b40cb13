//! The one error shape: every failure that leaves the hub goes through [`Failure`].

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use reef_driver::{AgentError, DriverError, Reason};
use reef_store::StoreError;
use reef_types::{ApiError, ErrorCode};

/// A failure of a handler. The request id is put into the body by the request-id middleware, which alone knows it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) ApiError);

/// What handlers return.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl From<ApiError> for Failure {
    fn from(err: ApiError) -> Self {
        Self(err)
    }
}

impl From<StoreError> for Failure {
    fn from(err: StoreError) -> Self {
        Self(store_error(&err))
    }
}

impl From<DriverError> for Failure {
    fn from(err: DriverError) -> Self {
        Self(driver_error(&err))
    }
}

impl From<AgentError> for Failure {
    fn from(err: AgentError) -> Self {
        Self(agent_error(&err))
    }
}

/// Maps a failure of the store. The text of SQLite stays in the log: it can quote values.
pub(crate) fn store_error(err: &StoreError) -> ApiError {
    match err {
        StoreError::NameInUse => ApiError {
            field: Some("name".into()),
            ..ApiError::new(
                ErrorCode::InstanceNameInUse,
                "an instance of this name exists; choose another name or remove that one",
            )
        },
        StoreError::NotFound => ApiError::new(ErrorCode::InstanceNotFound, "there is no such instance"),
        StoreError::Conflict => ApiError::new(ErrorCode::InvalidRequest, "this exists already"),
        StoreError::Full => ApiError::new(
            ErrorCode::StoreUnavailable,
            "the disk of the hub's data folder is full; free some space and try again",
        ),
        other => {
            tracing::error!(error = %other, "the store failed");
            ApiError::new(ErrorCode::StoreUnavailable, "the hub's database did not do this; see the hub's log")
        }
    }
}

/// Maps a failure of a driver or the node.
pub(crate) fn driver_error(err: &DriverError) -> ApiError {
    let code = match err.reason {
        Reason::Permission => ErrorCode::DriverPermissionDenied,
        Reason::Invalid => ErrorCode::InvalidRequest,
        Reason::Conflict => ErrorCode::InstanceBusy,
        Reason::NotFound => ErrorCode::InstanceUnavailable,
        _ => ErrorCode::DriverUnavailable,
    };
    ApiError::new(code, err.message.clone())
}

/// Maps a failure of an agent.
pub(crate) fn agent_error(err: &AgentError) -> ApiError {
    match err {
        AgentError::NotConnected => {
            ApiError::new(ErrorCode::InstanceUnavailable, "the agent is not reachable right now; try again in a moment")
                .retry_after(2_000)
        }
        AgentError::Timeout => ApiError::new(ErrorCode::UpstreamTimeout, "the agent did not answer in time"),
        AgentError::Refused(_) => ApiError::new(ErrorCode::UpstreamFailed, err.to_string()),
        AgentError::Invalid(message) => ApiError::new(ErrorCode::InvalidRequest, message.clone()),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        error_response(&self.0, "")
    }
}

/// Renders a failure; the middleware fills in the request id where the handler could not.
pub(crate) fn error_response(err: &ApiError, request_id: &str) -> Response {
    let status = StatusCode::from_u16(err.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(err.body(request_id))).into_response();
    response.extensions_mut().insert(FailureNote(err.clone()));
    if let Some(ms) = err.retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Travels with an error response to the middleware that knows the request id.
#[derive(Debug, Clone)]
pub(crate) struct FailureNote(pub(crate) ApiError);
