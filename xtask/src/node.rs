//! Finds a Node that can build the page: the machine's own, or one that Reef itself installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{agent, command};

/// The oldest Node that the page's tools run on, as major and minor version.
const NODE_OLDEST: (u32, u32) = (20, 19);

/// A folder with `node` and `npm`.
#[derive(Debug)]
pub(crate) struct Node {
    bin: PathBuf,
}

impl Node {
    /// # Errors
    /// When no Node is found, or only ones that are too old; the text says which.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        Self::find_also_in(root, None)
    }

    /// Looks into the version store of one more data directory.
    ///
    /// # Errors
    /// As [`Node::find`].
    pub(crate) fn find_also_in(root: &Path, data_dir: Option<&Path>) -> Result<Self> {
        let mut refused = Vec::new();
        for bin in candidates(root, data_dir) {
            match version(&bin.join("node")) {
                Ok(version) if version >= NODE_OLDEST => return Ok(Self { bin }),
                Ok((major, minor)) => refused.push(format!("{} is only {major}.{minor}", bin.display())),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        let (major, minor) = NODE_OLDEST;
        let refused = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
        bail!(
            "no Node {major}.{minor} or newer with npm is on this machine{refused}; \
             `reef agent install` puts one into Reef's own version store, which is looked at as well"
        )
    }

    /// An npm command in a folder.
    pub(crate) fn npm(&self, folder: &Path) -> Command {
        let mut path = vec![self.bin.clone()];
        path.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        let mut command = Command::new(self.bin.join("npm"));
        command.current_dir(folder).env("PATH", env::join_paths(path).expect("the parts come from a PATH")).args([
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
        ]);
        command
    }

    /// Installs what the lock file of a folder says, and nothing else, unless that was done already.
    pub(crate) fn install(&self, folder: &Path) -> Result<()> {
        let lock = fs::read(folder.join("package-lock.json"))
            .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
        let stamp = folder.join("node_modules/.installed-lock.json");
        if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
            return Ok(());
        }
        // Not `npm ci`: that fails where a registry lacks the builds of some package for systems that nobody here has.
        command::run(self.npm(folder).args(["install", "--no-save", "--ignore-scripts"]))?;
        let installed = folder.join("node_modules/.package-lock.json");
        let installed = fs::read(&installed).with_context(|| format!("cannot read {}", installed.display()))?;
        same_packages(&serde_json::from_slice(&lock)?, &serde_json::from_slice(&installed)?)?;
        fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

/// # Errors
/// When a package was installed that the lock file does not name, or with other content.
fn same_packages(lock: &Value, installed: &Value) -> Result<()> {
    for (path, package) in installed["packages"].as_object().context("npm did not say what it installed")? {
        let locked = &lock["packages"][path];
        for member in ["version", "integrity"] {
            if locked[member] != package[member] {
                bail!("{path} is not what package-lock.json says: run `npm install` and look at what changed");
            }
        }
    }
    Ok(())
}

/// Folders with a `node` and an `npm`: from the PATH, from the tests' versions, from the version store of `reef up`.
fn candidates(root: &Path, data_dir: Option<&Path>) -> Vec<PathBuf> {
    let on_path = command::which("node").and_then(|node| node.parent().map(Path::to_owned));
    let data_dir = data_dir.map(Path::to_owned).or_else(default_data_dir);
    let stores = [Some(agent::versions_dir(root)), data_dir.map(|dir| dir.join("node/versions"))];
    let installed = stores.into_iter().flatten().filter_map(|store| fs::read_dir(store.join("node")).ok()).flatten();
    on_path
        .into_iter()
        .chain(installed.flatten().map(|version| version.path().join("bin")))
        .filter(|bin| bin.join("node").is_file() && bin.join("npm").exists())
        .collect()
}

/// Where `reef` keeps its data when nothing else is said on its command line.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    env::var_os("REEF_DATA_DIR").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".reef")))
}

fn version(node: &Path) -> Result<(u32, u32)> {
    let text = command::output(Command::new(node).arg("--version"))?;
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("{} says it is `{}`", node.display(), text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_locked_packages_are_accepted() {
        let package = |version: &str, integrity: &str| json!({ "version": version, "integrity": integrity });
        let lock = json!({ "packages": { "a": package("1", "x"), "other-system": package("1", "y") } });
        for (installed, good) in [
            (json!({ "packages": { "a": package("1", "x") } }), true),
            (json!({ "packages": { "a": package("2", "x") } }), false),
            (json!({ "packages": { "a": package("1", "z") } }), false),
            (json!({ "packages": { "b": package("1", "x") } }), false),
            (json!({}), false),
        ] {
            assert_eq!(same_packages(&lock, &installed).is_ok(), good, "{installed}");
        }
    }
}
