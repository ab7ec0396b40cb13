//! Failures in the shape that a provider's own client library expects, with the hub's stable code in it.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use reef_driver::agent::Dialect;
use reef_types::ApiError;
use serde_json::{Value, json};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Body of every response of the broker.
pub(crate) type BrokerBody = UnsyncBoxBody<Bytes, BoxError>;

/// A JSON response.
pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response<BrokerBody> {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The response for a failure of the broker itself.
pub(crate) fn error_response(dialect: Dialect, err: &ApiError) -> Response<BrokerBody> {
    let status = StatusCode::from_u16(err.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, &envelope(dialect, status, err.code.as_str(), &err.message));
    if let Some(ms) = err.retry_after_ms {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    response
}

/// The body of a failure: <https://platform.openai.com/docs/guides/error-codes>,
/// <https://docs.anthropic.com/en/api/errors>.
pub(crate) fn envelope(dialect: Dialect, status: StatusCode, code: &str, message: &str) -> Value {
    match dialect {
        Dialect::OpenAiChat => {
            let kind = match status.as_u16() {
                401 => "authentication_error",
                429 => "rate_limit_error",
                500.. => "server_error",
                _ => "invalid_request_error",
            };
            json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
        }
        Dialect::AnthropicMessages => {
            let kind = match status.as_u16() {
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                503 | 529 => "overloaded_error",
                504 => "timeout_error",
                500.. => "api_error",
                _ => "invalid_request_error",
            };
            json!({ "type": "error", "error": { "type": kind, "message": message, "code": code } })
        }
    }
}
