//! Why a driver could not do what it was asked.

use serde::{Deserialize, Serialize};

/// A closed list: metrics label, API code and retry decision at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The node or engine cannot be reached now.
    Unavailable,
    /// There is no such instance, version or file.
    NotFound,
    /// It exists already, or is in a state that forbids this.
    Conflict,
    /// The host does not allow it.
    Permission,
    /// Disk, memory, pids or another limit of the host is used up.
    Exhausted,
    /// The agent's software is not in the version store.
    VersionMissing,
    /// The request itself is wrong.
    Invalid,
    /// No network, registry or upstream.
    Network,
    /// What was fetched is not what was promised.
    Integrity,
    Cancelled,
    Timeout,
    Internal,
}

impl Reason {
    /// The reason as it is written in conditions and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unavailable => "unavailable",
            Reason::NotFound => "not_found",
            Reason::Conflict => "conflict",
            Reason::Permission => "permission",
            Reason::Exhausted => "exhausted",
            Reason::VersionMissing => "version_missing",
            Reason::Invalid => "invalid",
            Reason::Network => "network",
            Reason::Integrity => "integrity",
            Reason::Cancelled => "cancelled",
            Reason::Timeout => "timeout",
            Reason::Internal => "internal",
        }
    }
}

/// A failure with a bounded reason and a message for people. It crosses the node's socket, so it carries no source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    pub reason: Reason,
    /// What went wrong and what to do. Never a secret.
    pub message: String,
}

impl DriverError {
    /// A failure with a message for people.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// An IO failure while doing `what`; full disks and missing rights keep their own reason.
    pub fn io(what: &str, err: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let reason = match err.kind() {
            ErrorKind::NotFound => Reason::NotFound,
            ErrorKind::PermissionDenied => Reason::Permission,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::OutOfMemory => Reason::Exhausted,
            ErrorKind::TimedOut => Reason::Timeout,
            _ => Reason::Internal,
        };
        Self::new(reason, format!("{what}: {err}"))
    }
}
