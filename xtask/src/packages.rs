//! Packages of the system that the tests need. Installed when we may, else named.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// The browser of the end-to-end specs.
pub(crate) const BROWSERS: [&str; 2] = ["chromium", "chromium-browser"];

/// # Errors
/// When a package is missing and cannot be installed here; the text names the one command that helps.
pub(crate) fn install() -> Result<()> {
    if BROWSERS.iter().any(|name| command::which(name).is_some()) {
        return Ok(());
    }
    if !is_root() || command::which("apt-get").is_none() {
        bail!("a browser is missing; install it with: sudo apt-get install --no-install-recommends chromium");
    }
    command::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    command::run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args([
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "chromium",
    ]))
}

fn is_root() -> bool {
    command::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
