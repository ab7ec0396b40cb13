//! The name of an instance: a DNS label, because it is at once host name, folder name and container name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest instance name, in bytes.
pub const NAME_LEN_MAX: usize = 40;

/// A valid, unique instance name: 1 to 40 of `a-z`, `0-9` and `-`, starting and ending with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName(String);

/// The one sentence shown wherever a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 40 characters of a-z, 0-9 and '-', and starts and ends with a letter or digit")]
pub struct NameError;

impl InstanceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        let inner = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if bytes.len() <= NAME_LEN_MAX && inner && edge(bytes.first()) && edge(bytes.last()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl TryFrom<String> for InstanceName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceName> for String {
    fn from(name: InstanceName) -> Self {
        name.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(NAME_LEN_MAX);
        for good in ["a", "7", "scout", "team-1-bot", &longest] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(NAME_LEN_MAX + 1);
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "a/b", "..", &too_long, "a\n"] {
            assert!(bad.parse::<InstanceName>().is_err(), "{bad:?}");
        }
    }
}
