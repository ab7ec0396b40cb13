//! Which instance a command means: a name or an id, checked before it becomes part of a path.

use std::{fmt, str::FromStr};

use reef_types::{InstanceId, InstanceName};

/// Name or id of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector(String);

impl FromStr for Selector {
    type Err = reef_types::name::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<InstanceId>().is_err() {
            text.parse::<InstanceName>()?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Selector {
    /// The path of the instance in the API, with something behind it.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/instances/{}{rest}", self.0)
    }
}
