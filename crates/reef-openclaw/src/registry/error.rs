//! Why the registry did not give what was asked for.

use std::{error::Error, io};

use reef_driver::{DriverError, Reason};

/// A failure of the npm registry or of what it sent. Addresses in it carry no credentials.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("the npm configuration of this machine cannot be used: {0}")]
    Config(String),
    #[error("version {version} of {package} is not in the registry {registry}")]
    NotFound { package: String, version: String, registry: String },
    #[error(
        "the registry {registry} refused access ({status}); check the credentials in this machine's npm configuration"
    )]
    Denied { registry: String, status: u16 },
    #[error("{what} could not be fetched from {registry}: {problem}")]
    Network { what: String, registry: String, problem: String },
    #[error("{what} is not what the registry promised: {problem}; nothing of it was used")]
    Integrity { what: String, problem: String },
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

impl RegistryError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn integrity(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Integrity { what: what.into(), problem: problem.into() }
    }
}

impl From<RegistryError> for DriverError {
    fn from(err: RegistryError) -> Self {
        let reason = match &err {
            RegistryError::Config(_) => Reason::Invalid,
            RegistryError::NotFound { .. } => Reason::NotFound,
            RegistryError::Denied { .. } => Reason::Permission,
            RegistryError::Network { .. } => Reason::Network,
            RegistryError::Integrity { .. } => Reason::Integrity,
            RegistryError::Io { what, source } => return DriverError::io(what, source),
        };
        DriverError::new(reason, err.to_string())
    }
}

/// What went wrong in one sentence: the innermost cause, without the address, which may carry credentials.
pub(super) fn describe(err: reqwest::Error) -> String {
    if err.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let err = err.without_url();
    let mut cause: &dyn Error = &err;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
