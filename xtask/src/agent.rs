//! Lets the product itself install the agent that the tests of the real thing use: the folder stays in target/, so that the
//! next run finds it there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::command::{self, cargo};

/// The agent that is installed, in its default version.
const AGENT: &str = "openclaw";

/// Where the tests find agent versions, as `<kind>/<version>`.
pub(crate) fn versions_dir(root: &Path) -> PathBuf {
    data_dir(root).join("node/versions")
}

/// Installs the agent for the tests.
pub(crate) fn install(root: &Path) -> Result<()> {
    install_in(root, &data_dir(root))
}

/// Starts a hub in the background, installs, and stops it again.
pub(crate) fn install_in(root: &Path, data_dir: &Path) -> Result<()> {
    command::run(cargo(root).args(["build", "--package", "reef"]))?;
    let program = command::target_dir(root)?.join("debug/reef");
    let reef = |args: &[&str]| command::run(reef(&program, data_dir).args(args));
    reef(&["up", "--detach", "--listen", "127.0.0.1:0"])?;
    let installed = reef(&["agent", "install", AGENT]);
    let stopped = reef(&["down"]);
    installed.and(stopped)
}

/// The program with a data directory of its own, and none of the caller's settings.
fn reef(program: &Path, data_dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("REEF_URL").env_remove("REEF_TOKEN").env_remove("REEF_LISTEN").env("REEF_DATA_DIR", data_dir);
    command
}

fn data_dir(root: &Path) -> PathBuf {
    root.join("target/test-home")
}
