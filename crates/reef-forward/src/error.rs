//! Failures of the data plane in the one error shape.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use reef_driver::{DriverError, error::Reason};
use reef_types::{ApiError, ErrorCode};

use crate::ForwardBody;

/// When another try makes sense after an instance was found to be away, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// The response for a failure: status, JSON body, `Retry-After` in whole seconds.
pub fn error_response(err: &ApiError, request_id: &str) -> Response<ForwardBody> {
    // Serialising strings and a JSON value cannot fail.
    let body = serde_json::to_vec(&err.body(request_id)).unwrap_or_default();
    let mut response = Response::new(ForwardBody::full(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(err.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(ms) = err.retry_after_ms {
        headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    response
}

/// What a failed dial means to the person who asked. The driver's own text may name paths, so it is not passed on.
pub(crate) fn dial_error(err: &DriverError) -> ApiError {
    match err.reason {
        Reason::NotFound | Reason::Unavailable => {
            ApiError::new(ErrorCode::InstanceUnavailable, "the instance does not answer now; try again shortly")
                .retry_after(RETRY_AFTER_MS)
        }
        Reason::Timeout => connect_timeout(),
        _ => ApiError::new(ErrorCode::UpstreamFailed, "no connection to the instance could be made"),
    }
}

pub(crate) fn connect_timeout() -> ApiError {
    ApiError::new(ErrorCode::UpstreamTimeout, "the instance did not take the connection in time")
}

pub(crate) fn shutting_down() -> ApiError {
    ApiError::new(ErrorCode::ShuttingDown, "the hub is restarting; try again shortly").retry_after(RETRY_AFTER_MS)
}

pub(crate) fn too_many(what: &str) -> ApiError {
    ApiError::new(ErrorCode::RateLimited, format!("the instance has too many {what} already; try again shortly"))
        .retry_after(RETRY_AFTER_MS)
}
