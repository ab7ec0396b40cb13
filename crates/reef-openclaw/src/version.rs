//! Which versions of OpenClaw this build knows, and the language runtime each of them runs on.
//!
//! A table and the rules for reading it; what it takes to install a version is in [`crate::install`].

/// The version that a new instance gets when none is named.
pub const DEFAULT_VERSION: &str = "2026.9.6";

/// Versions that were tested with this build, newest first.
pub const TESTED_VERSIONS: &[&str] = &[DEFAULT_VERSION];

/// The oldest version accepted. Months before the tested one are refused rather than guessed at: gateway protocol, state
/// and configuration all changed within the year.
const MINIMUM: [u32; 3] = [2026, 9, 0];

/// The longest version text, in bytes.
const VERSION_BYTES_MAX: usize = 48;

/// The Node that OpenClaw versions of [`TESTED_VERSIONS`] run on (`engines`: `>=24.16.0 <25 || >=26.1.0`).
const NODE: Runtime = Runtime { node: "24.21.0", npm: "11.21.2" };

/// Every Node that can be installed.
const RUNTIMES: &[Runtime] = &[NODE];

/// A Node and the npm that is put beside it. npm is pinned because the installer reads its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    pub node: &'static str,
    pub npm: &'static str,
}

/// Why a version is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("`{0}` is not an OpenClaw version: expected three numbers such as {DEFAULT_VERSION}")]
    Form(String),
    #[error("OpenClaw {0} is too old: this hub does not know its gateway protocol; use {DEFAULT_VERSION}")]
    TooOld(String),
    #[error("Node {0} cannot be installed by this build; it knows {known}", known = NODE.node)]
    UnknownNode(String),
}

/// Checks that a version of OpenClaw can be run by this build.
///
/// # Errors
/// With the reason, when the version is not of the right form or too old.
pub fn check(version: &str) -> Result<(), VersionError> {
    let numbers =
        parse(version).ok_or_else(|| VersionError::Form(version.chars().take(VERSION_BYTES_MAX).collect()))?;
    if numbers < MINIMUM { Err(VersionError::TooOld(version.to_owned())) } else { Ok(()) }
}

/// The runtime that a version of OpenClaw runs on.
///
/// # Errors
/// As [`check`].
pub fn runtime_of(version: &str) -> Result<Runtime, VersionError> {
    check(version).map(|()| NODE)
}

/// The table's entry for a version of Node.
///
/// # Errors
/// `UnknownNode` when this build cannot install it.
pub fn runtime_by_node(node: &str) -> Result<Runtime, VersionError> {
    let found = RUNTIMES.iter().find(|runtime| runtime.node == node);
    found.copied().ok_or_else(|| VersionError::UnknownNode(node.chars().take(VERSION_BYTES_MAX).collect()))
}

/// Three numbers, and optionally a suffix such as `-1` or `-beta.2`. Nothing else ever reaches a path or a URL.
fn parse(version: &str) -> Option<[u32; 3]> {
    let (core, suffix) = version.split_once('-').unwrap_or((version, "0"));
    let suffix_ok = suffix.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if version.len() > VERSION_BYTES_MAX || !suffix_ok {
        return None;
    }
    let number = |part: &str| {
        // One spelling per version: no signs, no leading zeros.
        let canonical = part == "0" || !part.starts_with('0');
        (canonical && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let mut parts = core.split('.');
    let numbers = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in [DEFAULT_VERSION, "2026.9.0", "2026.10.1-2", "2027.1.1-beta.3"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for old in ["2026.8.31", "2025.12.1", "1.2.3"] {
            assert_eq!(check(old), Err(VersionError::TooOld(old.to_owned())));
        }
        let long = format!("2026.9.6-{}", "a".repeat(VERSION_BYTES_MAX));
        for bad in [
            "",
            "latest",
            "2026.9",
            "2026.9.6.1",
            "2026.09.6",
            "+2026.9.6",
            "2026.9.6-",
            "2026.9.6-a/../b",
            "^2026.9.6",
        ] {
            assert_eq!(check(bad), Err(VersionError::Form(bad.to_owned())), "{bad:?}");
        }
        assert!(matches!(check(&long), Err(VersionError::Form(_))));
    }

    #[test]
    fn every_tested_version_has_an_installable_runtime() {
        for version in TESTED_VERSIONS {
            let runtime = runtime_of(version).unwrap();
            assert_eq!(runtime_by_node(runtime.node), Ok(runtime));
        }
        assert!(runtime_by_node("24.21.1").is_err());
    }
}
