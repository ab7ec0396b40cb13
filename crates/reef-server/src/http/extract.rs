//! Extractors whose refusals are in the one error shape.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
};
use http::{Method, header, request::Parts};
use http_body::Body as _;
use http_body_util::BodyExt;
use reef_types::{ApiError, ErrorCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::Failure;

/// Bytes of a JSON body.
const BODY_BYTES_MAX: usize = 2 << 20;

/// How long, and how much, of a body that is too large is still taken before it is refused.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 16 << 20;

/// Time for all of a JSON body, as the listener allows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTimeout(pub(crate) Duration);

/// A JSON body of the right form.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let content_type =
            request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("application/json") {
            // A form of another site cannot send this type without a preflight.
            return Err(ApiError::new(ErrorCode::InvalidJson, "send JSON with `Content-Type: application/json`").into());
        }
        let limit = request.extensions().get().map_or(Duration::MAX, |BodyTimeout(limit)| *limit);
        let bytes = timeout(limit, read(request.into_body())).await.map_err(|_| {
            let message = format!("the body did not arrive within {} s", limit.as_secs());
            ApiError::new(ErrorCode::InvalidRequest, message)
        })??;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(err) if err.is_data() => {
                // The text names the field and what was expected there; values of secrets are typed so that they are not in it.
                Err(ApiError::new(ErrorCode::InvalidRequest, format!("the body is not of the right form: {err}"))
                    .into())
            }
            Err(err) => Err(ApiError::new(ErrorCode::InvalidJson, format!("the body is not JSON: {err}")).into()),
        }
    }
}

/// All of a body, as long as it is not too large.
async fn read(mut body: axum::body::Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut too_large = body.size_hint().lower() > BODY_BYTES_MAX as u64;
    while !too_large && let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(ErrorCode::InvalidRequest, "the body broke off"))?;
        if let Some(data) = frame.data_ref() {
            too_large = bytes.len() + data.len() > BODY_BYTES_MAX;
            if !too_large {
                bytes.extend_from_slice(data);
            }
        }
    }
    if too_large {
        let _ = timeout(LINGER, throw_away(body)).await;
        let message = format!("a JSON body has at most {} MiB", BODY_BYTES_MAX >> 20);
        return Err(ApiError::new(ErrorCode::BodyTooLarge, message));
    }
    Ok(bytes)
}

/// A client that is still sending would find the connection closed instead of the answer that says why.
async fn throw_away(mut body: axum::body::Body) {
    let mut left = LINGER_BYTES_MAX;
    while left > 0
        && let Some(Ok(frame)) = body.frame().await
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// Query parameters of the right form.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|err| {
            ApiError::new(ErrorCode::InvalidRequest, format!("the query is not of the right form: {}", err.body_text()))
                .into()
        })
    }
}

/// Path parameters.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(_) => Err(ApiError::new(ErrorCode::NotFound, "there is nothing at this path").into()),
        }
    }
}

/// For routes that do not exist, and methods that a route does not have.
pub(crate) async fn not_found() -> Failure {
    ApiError::new(ErrorCode::NotFound, "there is nothing at this path; the OpenAPI document lists what there is").into()
}

pub(crate) async fn method_not_allowed(method: Method) -> Failure {
    ApiError::new(ErrorCode::MethodNotAllowed, format!("this path does not take {method}")).into()
}
