//! Why the gateway refused, and why a connection did not come about; each with what that means for the next try.

use std::time::Duration;

use reef_driver::AgentError;
use serde::Deserialize;
use serde_json::Value;

/// The longest delay that a gateway may ask for; more is cut, so that a broken answer cannot silence the link for good.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// The longest message of a refusal that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// The gateway's `error` object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    details: Value,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal on our side, before the gateway was asked.
    pub(crate) fn ours(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    /// The finer code, where there is one.
    pub(crate) fn detail(&self) -> Option<&str> {
        let details = &self.details;
        details.get("code").or_else(|| details.get("reason")).and_then(Value::as_str)
    }

    /// How long the gateway wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(|ms| Duration::from_millis(ms).min(RETRY_AFTER_MAX))
    }

    /// The protocol version that the gateway wants, for people.
    pub(crate) fn expected_protocol(&self) -> String {
        self.details.get("expectedProtocol").map_or_else(|| "another".to_owned(), Value::to_string)
    }

    /// Whether the secret that was sent is not (or no longer) the gateway's.
    pub(crate) fn is_bad_credential(&self) -> bool {
        self.detail().is_some_and(|detail| detail.starts_with("AUTH_") && detail != "AUTH_RATE_LIMITED")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message: String = self.message.chars().take(MESSAGE_CHARS_MAX).collect();
        match (message.is_empty(), self.code.is_empty()) {
            (false, _) => f.write_str(&message),
            (true, false) => f.write_str(&self.code),
            (true, true) => f.write_str("no reason given"),
        }
    }
}

impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        AgentError::Refused(refusal.to_string())
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
    #[error("the gateway did not answer within {}s ({phase})", .limit.as_secs())]
    Timeout { phase: &'static str, limit: Duration },
    #[error("the gateway closed the connection ({code} {reason})")]
    Closed { code: u16, reason: String },
    #[error("what answers on the gateway's port does not speak its protocol: {0}")]
    Protocol(String),
    #[error("the gateway speaks protocol {theirs}, this build speaks {}", super::PROTOCOL)]
    Version { theirs: String },
    #[error("the gateway refused the connection: {0}")]
    Refused(Refusal),
    #[error("the gateway granted the connection no administrator rights")]
    NoAdmin,
    #[error("{0}")]
    Credential(#[from] crate::credential::CredentialError),
}

/// How soon a next try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It is starting or restarting: soon.
    Soon,
    /// Somebody has to change something first: seldom.
    Later,
}

impl ConnectError {
    /// How soon a next try makes sense.
    pub(crate) fn outlook(&self) -> Outlook {
        match self {
            Self::Unreachable(_) | Self::Timeout { .. } | Self::Closed { .. } => Outlook::Soon,
            Self::Refused(refusal) if refusal.code == "UNAVAILABLE" => Outlook::Soon,
            Self::Refused(_) | Self::Protocol(_) | Self::Version { .. } | Self::NoAdmin | Self::Credential(_) => {
                Outlook::Later
            }
        }
    }

    /// How long the gateway wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(value: Value) -> Refusal {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn outlooks() {
        let starting = refusal(json!({"code": "UNAVAILABLE", "message": "starting"}));
        let wrong =
            refusal(json!({"code": "INVALID_REQUEST", "message": "x", "details": {"code": "AUTH_TOKEN_MISMATCH"}}));
        assert!(wrong.is_bad_credential());
        for (err, expect) in [
            (ConnectError::Unreachable("refused".into()), Outlook::Soon),
            (ConnectError::Closed { code: 1013, reason: String::new() }, Outlook::Soon),
            (ConnectError::Refused(starting), Outlook::Soon),
            (ConnectError::Refused(wrong), Outlook::Later),
            (ConnectError::NoAdmin, Outlook::Later),
            (ConnectError::Version { theirs: "5".into() }, Outlook::Later),
        ] {
            assert_eq!(err.outlook(), expect, "{err}");
        }
    }

    #[test]
    fn a_rate_limit_is_no_bad_credential_and_its_delay_is_bounded() {
        let limited = refusal(
            json!({"code": "AUTH_RATE_LIMITED", "details": {"code": "AUTH_RATE_LIMITED"}, "retryAfterMs": u64::MAX}),
        );
        assert!(!limited.is_bad_credential());
        assert_eq!(limited.retry_after(), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn messages_are_bounded_and_never_empty() {
        assert_eq!(Refusal::default().to_string(), "no reason given");
        let long = refusal(json!({"code": "X", "message": "é".repeat(2 * MESSAGE_CHARS_MAX)}));
        assert_eq!(long.to_string().chars().count(), MESSAGE_CHARS_MAX);
    }
}
