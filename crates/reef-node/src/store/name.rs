//! Names of versions: they become folder names, so that their form is checked before anything else happens.

use std::fmt;

use reef_driver::{DriverError, Reason};

const KIND_CHARS_MAX: usize = 40;
const VERSION_CHARS_MAX: usize = 100;

/// A kind and a version, each safe as a single path component that is not hidden.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VersionKey {
    kind: String,
    version: String,
}

impl VersionKey {
    /// # Errors
    /// `Invalid` when one is not of the allowed form.
    pub(crate) fn parse(kind: &str, version: &str) -> Result<Self, DriverError> {
        let kind_ok = kind.len() <= KIND_CHARS_MAX
            && kind.starts_with(|c: char| c.is_ascii_lowercase())
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !kind_ok {
            let message = "the kind must be lower-case letters, digits and dashes, starting with a letter";
            return Err(DriverError::new(Reason::Invalid, message));
        }
        // Starting with a letter or digit rules out `.`, `..`, hidden names and what looks like an option.
        let version_ok = version.len() <= VERSION_CHARS_MAX
            && version.starts_with(|c: char| c.is_ascii_alphanumeric())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+_-".contains(&b));
        if !version_ok {
            let message = "the version must be letters, digits and `.+_-`, starting with a letter or digit";
            return Err(DriverError::new(Reason::Invalid, message));
        }
        Ok(Self { kind: kind.to_owned(), version: version.to_owned() })
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_path_components_are_names() {
        for (kind, version) in [("node", "24.21.0"), ("openclaw", "2026.9.6"), ("a-b", "1.0.0-rc.1+build_2")] {
            assert!(VersionKey::parse(kind, version).is_ok(), "{kind} {version}");
        }
        let long = "a".repeat(101);
        for (kind, version) in [
            ("", "1"),
            ("node", ""),
            (".", "1"),
            ("..", "1"),
            ("node", "."),
            ("node", ".."),
            ("node", ".staging"),
            ("a/b", "1"),
            ("node", "1/2"),
            ("node", "../x"),
            ("node", "1\0"),
            ("node", "1\n"),
            ("Node", "1"),
            ("node", "-1"),
            ("node", "é"),
            ("-node", "1"),
            (&long, "1"),
            ("node", &long),
            (".staging", "1"),
        ] {
            assert!(VersionKey::parse(kind, version).is_err(), "{kind:?} {version:?}");
        }
    }
}
