//! Runs instances as local, sandboxed processes that outlive hub and node.
//!
//! Everything there is to know about an instance is in its folder and in the kernel: this crate keeps locks and watchers
//! in memory, and nothing else, so that a restarted node finds everything again. It must not know what an agent is.

mod driver;
mod files;
mod keeper;
mod launch;
mod layout;
mod logs;
mod readiness;
mod tasks;
mod tree;
mod watch;

use std::{ffi::OsString, path::PathBuf};

pub use driver::ProcessDriver;
pub use tasks::ProcessTasks;

/// How the shim is executed.
#[derive(Debug, Clone)]
pub struct ShimCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl ShimCommand {
    /// This very program, whose `main` calls [`reef_sandbox::shim::main`] when its first argument is
    /// [`reef_sandbox::shim::ARGUMENT`]. An update of the file on disk does not change what is executed.
    pub fn this_program() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: vec![reef_sandbox::shim::ARGUMENT.into()] }
    }
}

/// What the process driver needs to know.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Folder with one folder per instance; made when it is not there.
    pub root: PathBuf,
    /// The version store: `<kind>/<version>`.
    pub versions: PathBuf,
    pub shim: ShimCommand,
}
