//! What a handler knows of the request beside its own arguments.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, request::Parts};
use parking_lot::Mutex;
use reef_auth::{Action, Actor};
use reef_store::AuditEntry;
use reef_types::{ApiError, ErrorCode};

use super::{authenticate, error::Failure, gate::REQUEST_ID, listener::Peer};

/// The id by which a request is found in logs.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

const REQUEST_ID_CHARS_MAX: usize = 64;

impl RequestId {
    /// The client's own when it is well-formed, else a fresh one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let fine = |id: &&str| {
            !id.is_empty()
                && id.len() <= REQUEST_ID_CHARS_MAX
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        match headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fine) {
            Some(id) => Self(id.to_owned()),
            None => Self(uuid::Uuid::now_v7().simple().to_string()),
        }
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// None only on the few routes that are open to everybody.
    pub(crate) actor: Option<Actor>,
    pub(crate) request_id: String,
    pub(crate) client_ip: IpAddr,
}

impl Context {
    /// Whether the actor may do this.
    pub(crate) fn allow(&self, action: Action) -> Result<(), ApiError> {
        let actor = self.actor.as_ref().ok_or_else(authenticate::required)?;
        actor.authorize(action).map_err(|denied| ApiError::new(ErrorCode::Forbidden, denied.to_string()))
    }

    /// As the audit log names whoever asks.
    pub(crate) fn actor_name(&self) -> String {
        self.actor.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)
    }

    /// An audit row of this request.
    pub(crate) fn audit(&self, action: Action, resource: impl Into<String>, detail: impl Into<String>) -> AuditEntry {
        self.note(action.as_str(), resource, detail)
    }

    /// An audit row of something that nobody needs a right for.
    pub(crate) fn note(&self, what: &str, resource: impl Into<String>, detail: impl Into<String>) -> AuditEntry {
        AuditEntry {
            actor: self.actor_name(),
            action: what.to_owned(),
            resource: resource.into(),
            request_id: self.request_id.clone(),
            detail: detail.into(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let actor = parts.extensions.get::<Actor>().cloned();
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let client_ip = match parts.extensions.get::<Peer>() {
            Some(Peer::Network(ip)) => *ip,
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Ok(Self { actor, request_id, client_ip })
    }
}

/// Throttles guessing at the sign-in.
pub(crate) type Attempts = Mutex<reef_auth::attempts::Attempts>;
