//! Keeps openapi/reef.json what the code says: the document is generated, committed, and checked for drift.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};

/// Writes the document.
pub(crate) fn write(root: &Path) -> Result<()> {
    let path = path(root);
    let folder = path.parent().expect("the path has a folder");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(&path, generate(root)?).with_context(|| format!("cannot write {}", path.display()))
}

/// # Errors
/// When the committed document is not the one that the code gives.
pub(crate) fn check(root: &Path) -> Result<()> {
    let committed = fs::read_to_string(path(root)).context("openapi/reef.json cannot be read")?;
    let generated = generate(root)?;
    if committed == generated {
        return Ok(());
    }
    let line = committed.lines().zip(generated.lines()).take_while(|(old, new)| old == new).count() + 1;
    bail!("openapi/reef.json is out of date from line {line}: run `cargo xtask openapi` and commit it")
}

fn generate(root: &Path) -> Result<String> {
    command::output(cargo(root).args(["run", "--quiet", "--package", "reef", "--", "openapi"]))
}

fn path(root: &Path) -> PathBuf {
    root.join("openapi/reef.json")
}
