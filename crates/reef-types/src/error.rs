//! The one error shape of the API and its closed list of codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// Every failure that the outside can see. The spelling and the status are part of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// All codes, in the order of declaration.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }
        }
    };
}

error_codes! {
    InvalidJson = "invalid_json", 400;
    InvalidRequest = "invalid_request", 400;
    InvalidConfigurationKey = "invalid_configuration_key", 400;
    InvalidProxyPath = "invalid_proxy_path", 400;
    InstanceRequired = "instance_required", 400;
    HubOnlyPath = "hub_only_path", 400;
    Unauthenticated = "unauthenticated", 401;
    Forbidden = "forbidden", 403;
    NotFound = "not_found", 404;
    UnknownSelector = "unknown_selector", 404;
    InstanceNotFound = "instance_not_found", 404;
    JobNotFound = "job_not_found", 404;
    AgentVersionNotFound = "agent_version_not_found", 404;
    MethodNotAllowed = "method_not_allowed", 405;
    InstanceNameInUse = "instance_name_in_use", 409;
    InstanceBusy = "instance_busy", 409;
    AgentVersionInUse = "agent_version_in_use", 409;
    SetupDone = "setup_done", 409;
    GenerationConflict = "generation_conflict", 412;
    BodyTooLarge = "body_too_large", 413;
    HeadersTooLarge = "headers_too_large", 431;
    AgentVersionUnsupported = "agent_version_unsupported", 422;
    QuotaExceeded = "quota_exceeded", 422;
    RateLimited = "rate_limited", 429;
    Internal = "internal", 500;
    InstanceFailed = "instance_failed", 500;
    NotImplemented = "not_implemented", 501;
    UpstreamFailed = "upstream_failed", 502;
    InstanceUnavailable = "instance_unavailable", 503;
    DriverUnavailable = "driver_unavailable", 503;
    DriverPermissionDenied = "driver_permission_denied", 503;
    StoreUnavailable = "store_unavailable", 503;
    ShuttingDown = "shutting_down", 503;
    UpstreamTimeout = "upstream_timeout", 504;
    WaitTimeout = "wait_timeout", 504;
}

/// A failure on its way to the outside: never holds a secret, an internal path or a source error's text that could.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {message}", .code.as_str())]
pub struct ApiError {
    pub code: ErrorCode,
    /// What went wrong and what to do.
    pub message: String,
    /// The field of the request that is to blame: `spec.name`.
    pub field: Option<String>,
    /// Further facts for programs; an object.
    pub details: Option<serde_json::Value>,
    /// When to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    /// A failure with a message for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, details: None, retry_after_ms: None }
    }

    /// A request field that is not of the allowed form.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(ErrorCode::InvalidRequest, message) }
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The body that is sent.
    pub fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
                request_id: request_id.to_owned(),
                field: self.field.clone(),
                details: self.details.clone().unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())),
            },
        }
    }
}

/// The JSON body of every failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    pub code: ErrorCode,
    pub message: String,
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    pub details: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_spelling_is_the_declared_one() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }
}
