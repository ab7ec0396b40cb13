//! The store of agent versions on one machine, and how versions get into it.

use std::path::Path;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use reef_types::Progress;
use serde::{Deserialize, Serialize};

use crate::DriverError;

/// One version in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    pub kind: String,
    pub version: String,
    pub size_bytes: u64,
    /// RFC 3339.
    pub installed_at: String,
    /// Further versions that must be mounted with it, as `(kind, version)`: the language runtime.
    pub needs: Vec<(String, String)>,
}

/// What an installation reports. The last one is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum InstallEvent {
    Progress { progress: Progress },
    Done { info: VersionInfo },
    Failed { error: DriverError },
}

/// Versions, as the hub sees them. Dropping the stream of `install` cancels the installation; what was fetched stays in a
/// cache, so that the next try goes on from there.
#[async_trait]
pub trait VersionStore: Send + Sync {
    async fn versions(&self) -> Result<Vec<VersionInfo>, DriverError>;

    /// Idempotent: an installed version answers `Done` at once. Two installations of the same version are one.
    fn install(&self, kind: &str, version: &str) -> BoxStream<'static, InstallEvent>;

    /// # Errors
    /// `Conflict` while an instance has it mounted.
    async fn remove(&self, kind: &str, version: &str) -> Result<(), DriverError>;
}

/// A short-lived program that a version installer runs in a sandbox of its own: unprivileged, sees only what is mounted,
/// may use the host's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub mounts: Vec<TaskMount>,
}

/// A folder of the host that a task sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMount {
    pub host: std::path::PathBuf,
    pub sandbox: String,
    pub writable: bool,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskExit {
    pub code: Option<i32>,
    /// The end of what it wrote to standard error, for messages.
    pub stderr_tail: String,
}

/// Runs tasks. Dropping the future kills the task and all its children.
#[async_trait]
pub trait TaskRunner: Send + Sync {
    /// `on_line` gets each line of standard output and error.
    async fn run(
        &self,
        task: Task,
        on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError>;
}

/// Knows how to install one kind of software. Lives on the node; is given a folder and a way to run sandboxed tasks.
#[async_trait]
pub trait VersionInstaller: Send + Sync {
    /// The kinds it installs, for example the agent and its language runtime.
    fn kinds(&self) -> &[&'static str];

    /// Fills `staging` (empty, writable) with the version. The caller then makes it read-only and moves it into place.
    /// `cache` is kept between calls; `store` is the root of installed versions (`<kind>/<version>`), for finding needs.
    /// Returns the versions that it needs beside it; the caller installs those first when they are listed by `needs`.
    async fn install(
        &self,
        kind: &str,
        version: &str,
        dirs: InstallDirs<'_>,
        tasks: &dyn TaskRunner,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DriverError>;

    /// What must be in the store before `install` is called, and mounted beside it when it runs.
    fn needs(&self, kind: &str, version: &str) -> Result<Vec<(String, String)>, DriverError>;
}

/// Folders for one installation.
#[derive(Debug, Clone, Copy)]
pub struct InstallDirs<'a> {
    pub staging: &'a Path,
    pub cache: &'a Path,
    pub store: &'a Path,
}
