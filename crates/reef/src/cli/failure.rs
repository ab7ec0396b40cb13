//! How a command fails, and the exit code that goes with it.

use std::{io, process::ExitCode};

/// The exit codes of the command line; part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Unavailable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The hub's own answer.
    #[error("{message}")]
    Api { status: u16, code: String, message: String },
    /// The command line cannot be carried out.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    /// Nobody answers, or not now.
    #[error("{0}")]
    Unavailable(String),
    /// The reader of stdout left, as `head` does; nobody is interested in the rest.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// The exit code of the program.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Api { status, .. } => exit_of_status(*status),
            Failure::Usage(_) => Exit::Usage,
            Failure::Failed(_) => Exit::Failed,
            Failure::Unavailable(_) => Exit::Unavailable,
            Failure::OutputClosed => Exit::Done,
        }
    }

    /// Whether the same call may work in a moment: the hub restarts, or the agent is not ready.
    pub(crate) fn is_transient(&self) -> bool {
        self.exit() == Exit::Unavailable
    }

    /// Prints the failure for people.
    pub(crate) fn report(&self) {
        if matches!(self, Failure::OutputClosed) {
            return;
        }
        eprintln!("reef: {}", super::output::printable(&self.to_string()));
        if let Failure::Api { status: 401, .. } = self {
            eprintln!("Set REEF_TOKEN to a token of this hub (`reef token create NAME` makes one).");
        }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Failed(source.to_string()),
        }
    }
}

fn exit_of_status(status: u16) -> Exit {
    match status {
        400 => Exit::Usage,
        404 => Exit::NotFound,
        401 | 403 | 413 | 422 | 429 => Exit::Refused,
        502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use reef_types::ErrorCode;

    use super::*;

    #[test]
    fn every_code_of_the_contract_has_its_exit_code() {
        for (exit, codes) in [
            (Exit::NotFound, &[ErrorCode::NotFound, ErrorCode::InstanceNotFound, ErrorCode::UnknownSelector][..]),
            (Exit::Refused, &[ErrorCode::Unauthenticated, ErrorCode::Forbidden, ErrorCode::QuotaExceeded]),
            (Exit::Refused, &[ErrorCode::RateLimited, ErrorCode::BodyTooLarge, ErrorCode::AgentVersionUnsupported]),
            (Exit::Unavailable, &[ErrorCode::InstanceUnavailable, ErrorCode::DriverUnavailable]),
            (Exit::Unavailable, &[ErrorCode::ShuttingDown, ErrorCode::UpstreamTimeout, ErrorCode::StoreUnavailable]),
            (Exit::Failed, &[ErrorCode::InstanceNameInUse, ErrorCode::InstanceFailed, ErrorCode::Internal]),
            (Exit::Usage, &[ErrorCode::InvalidRequest, ErrorCode::InvalidConfigurationKey]),
        ] {
            for code in codes {
                assert_eq!(exit_of_status(code.status()), exit, "{}", code.as_str());
            }
        }
    }
}
