//! The second wall around files: even where a mount would allow it, only named folders can be written.
//!
//! Best effort: kernels without Landlock, or with an older one, keep the first wall (the mount namespace) alone.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest interface that this was tested with.
const NEWEST: ABI = ABI::V7;

/// What may be done where.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileRules {
    /// Read and execute.
    pub(crate) read: Vec<PathBuf>,
    /// Everything.
    pub(crate) write: Vec<PathBuf>,
    /// Writing to files that are there; where the mounts and the files' own modes allow it.
    pub(crate) change: Vec<PathBuf>,
}

/// Confines the calling process to `rules`, for good. Returns a sentence on what was achieved.
pub(crate) fn restrict(rules: &FileRules) -> Result<String, String> {
    let status = apply(rules).map_err(|err| err.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => Err("the kernel has no Landlock".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(format!("Landlock ABI {}", effective_abi as i32)),
        _ => Ok("Landlock".to_owned()),
    }
}

fn apply(rules: &FileRules) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        // No signals to, and no abstract sockets of, anybody outside.
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(existing(&rules.read), read))?
        .add_rules(path_beneath_rules(existing(&rules.write), all))?
        .add_rules(path_beneath_rules(existing(&rules.change), AccessFs::WriteFile | AccessFs::Truncate))?
        .restrict_self()
}

fn existing(paths: &[PathBuf]) -> impl Iterator<Item = &Path> {
    paths.iter().map(PathBuf::as_path).filter(|path| path.exists())
}
