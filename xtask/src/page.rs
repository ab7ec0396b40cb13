//! Builds the page in ui/. The Rust side never needs it: without it the hub serves a stub.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};

use crate::{command, node::Node};

/// What is built from other files, or does not belong to the page.
const NOT_SOURCES: [&str; 2] = ["node_modules", "dist"];

/// Builds what the hub serves.
pub(crate) fn build(root: &Path, node: &Node) -> Result<()> {
    script(root, node, "build")
}

/// Installs the packages that the lock file names, and runs a script of package.json.
pub(crate) fn script(root: &Path, node: &Node, script: &str) -> Result<()> {
    let ui = root.join("ui");
    node.install(&ui)?;
    command::run(node.npm(&ui).args(["run", script]))
}

/// Whether the page was changed since it was built, or never was.
pub(crate) fn is_stale(root: &Path) -> Result<bool> {
    let ui = root.join("ui");
    // The stub page that the hub's build script writes has no assets.
    let Ok(built) = fs::metadata(ui.join("dist/assets")).and_then(|built| built.modified()) else {
        return Ok(true);
    };
    Ok(newest(&ui)? > built)
}

fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            if NOT_SOURCES.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                newest = newest.max(metadata.modified()?);
            }
        }
    }
    Ok(newest)
}
