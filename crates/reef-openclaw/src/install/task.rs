//! What the tasks of an installation have in common: where things are inside their sandbox, and their environment.
//!
//! Nothing ambient gets in: the configuration of npm, the certificates and the proxies are written out for the task.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use reef_driver::{DriverError, Reason, Task, TaskMount, TaskRunner, sandbox_paths};
use secrecy::ExposeSecret;

use crate::registry::NpmConfig;

/// Where a task sees the version that is being made.
pub(super) const STAGING: &str = "/reef/staging";
/// Where a task sees npm's own cache.
pub(super) const CACHE: &str = "/reef/cache";
/// The task's home: its npmrc and the certificates.
const TASK_HOME: &str = "/reef/task";

/// The longest that a program which only prints its version may take.
pub(super) const VERSION_TIME_MAX: Duration = Duration::from_secs(60);

/// Writes the files that npm needs into the task's home. The npmrc may hold credentials.
pub(super) fn write_home(home: &Path, config: &NpmConfig) -> io::Result<()> {
    let write = |name: &str, mode, text: &str| {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(home.join(name));
        file?.write_all(text.as_bytes())
    };
    write("npmrc", 0o600, config.to_npmrc().expose_secret())?;
    write("ca.pem", 0o644, &config.ca_bundle())
}

/// The mount of the task's home.
pub(super) fn home_mount(home: &Path) -> TaskMount {
    TaskMount { host: home.to_owned(), sandbox: TASK_HOME.to_owned(), writable: true }
}

/// The mount of what is being made.
pub(super) fn staging_mount(staging: &Path, writable: bool) -> TaskMount {
    TaskMount { host: staging.to_owned(), sandbox: STAGING.to_owned(), writable }
}

/// The mount of an installed Node, at the place where instances see it too.
pub(super) fn node_mount(store: &Path, node: &str) -> TaskMount {
    TaskMount { host: store.join("node").join(node), sandbox: node_dir(node), writable: false }
}

/// Where a task sees an installed Node.
pub(super) fn node_dir(node: &str) -> String {
    format!("{}/node/{node}", sandbox_paths::VERSIONS)
}

/// The complete environment of a task; `bin` is where its Node is.
pub(super) fn environment(bin: &str) -> Vec<(String, String)> {
    [
        ("HOME", TASK_HOME),
        ("LANG", "C.UTF-8"),
        ("NODE_EXTRA_CA_CERTS", "/reef/task/ca.pem"),
        ("NO_COLOR", "1"),
        ("NO_UPDATE_NOTIFIER", "1"),
        ("PATH", &format!("{bin}:/usr/local/bin:/usr/bin:/bin")),
        ("TMPDIR", sandbox_paths::TMP),
        ("npm_config_userconfig", "/reef/task/npmrc"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Runs a task within a time limit.
///
/// # Errors
/// `Timeout`, or `Internal` with what the task complained about last when it failed.
pub(super) async fn run(
    tasks: &dyn TaskRunner,
    what: &str,
    task: Task,
    limit: Duration,
    on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
) -> Result<(), DriverError> {
    let Ok(exit) = tokio::time::timeout(limit, tasks.run(task, on_line)).await else {
        return Err(DriverError::new(Reason::Timeout, format!("{what} took longer than {} s", limit.as_secs())));
    };
    let exit = exit?;
    if exit.code == Some(0) {
        return Ok(());
    }
    let code = exit.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
    let tail = exit.stderr_tail.trim();
    Err(DriverError::new(Reason::Internal, format!("{what} ended with {code}: {tail}")))
}
