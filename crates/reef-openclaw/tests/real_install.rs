//! The real thing: fetches Node and OpenClaw from the registry that this machine is configured for, installs both, and
//! starts a gateway from a rendered workload. Needs network and about 1.5 GB of disk; takes about a minute.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use reef_driver::{
    AgentCredential, RenderInput, VersionInstaller, Workload,
    agent::{Dialect, ModelInfo},
    version::InstallDirs,
};
use reef_openclaw::{install::OpenClawInstaller, render, version};
use reef_types::{AgentRef, Egress, InstanceSpec, Progress, Resources};
use secrecy::SecretString;
use serde_json::{Value, json};

#[path = "install/tasks.rs"]
mod tasks;

use tasks::PlainTasks;

async fn install(root: &Path, kind: &str, version: &str) -> Vec<Progress> {
    let (cache, store) = (root.join("cache"), root.join("store"));
    let staging = root.join("staging").join(kind);
    for dir in [&cache, &store.join(kind), &staging] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let seen = Mutex::new(Vec::new());
    let progress = |step: Progress| {
        let mut seen = seen.lock();
        // One of each step: the last one.
        seen.pop_if(|last: &mut Progress| last.step == step.step);
        seen.push(step);
    };
    let started = Instant::now();
    let dirs = InstallDirs { staging: &staging, cache: &cache, store: &store };
    let installer = OpenClawInstaller::new();
    installer.install(kind, version, dirs, &PlainTasks, &progress).await.unwrap();
    println!("{kind} {version}: {:.1} s", started.elapsed().as_secs_f64());
    std::fs::rename(&staging, store.join(kind).join(version)).unwrap();
    seen.into_inner()
}

#[tokio::test]
async fn the_real_openclaw_is_installed_and_starts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let installer = OpenClawInstaller::new();
    let needs = installer.needs("openclaw", version::DEFAULT_VERSION).unwrap();
    let [(kind, node)] = &needs[..] else { panic!("{needs:?}") };

    let steps = install(dir.path(), kind, node).await;
    assert!(
        steps.iter().any(|step| step.unit == "bytes" && step.total > 40_000_000 && step.done == step.total),
        "{steps:?}"
    );
    let steps = install(dir.path(), "openclaw", version::DEFAULT_VERSION).await;
    assert!(steps.iter().any(|step| step.unit == "packages" && step.done > 300), "{steps:?}");

    let node = dir.path().join("store/node").join(node);
    let openclaw = dir.path().join("store/openclaw").join(version::DEFAULT_VERSION);
    let npm = Command::new(node.join("bin/npm")).arg("--version").env("PATH", node.join("bin")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&npm.stdout).trim(), version::runtime_by_node("24.21.0").unwrap().npm);
    let entry = openclaw.join("node_modules/openclaw/openclaw.mjs");
    let said = Command::new(node.join("bin/node")).arg(entry).arg("--version").env_clear().output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains(version::DEFAULT_VERSION), "{said:?}");
    let left: Vec<_> = std::fs::read_dir(&openclaw).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");

    let instance = Instance::new(dir.path());
    instance.merges_its_configuration();
    instance.starts().await;
}

/// A rendered workload with the sandbox's paths replaced by folders of the host.
struct Instance {
    root: PathBuf,
    workload: Workload,
    port: u16,
}

impl Instance {
    fn new(dir: &Path) -> Self {
        let root = dir.join("instance");
        let token = SecretString::from("MARKER-token");
        let spec = InstanceSpec {
            id: "ins_0190d6f0000070008000000000000001".parse().unwrap(),
            name: "scout".parse().unwrap(),
            display_name: None,
            driver: "none".to_owned(),
            agent: AgentRef { kind: "openclaw".to_owned(), version: version::DEFAULT_VERSION.to_owned() },
            model: None,
            resources: Resources::default(),
            egress: Egress::Closed,
            labels: BTreeMap::new(),
            generation: 1,
            created_at: "2026-11-22T12:00:00Z".parse().unwrap(),
        };
        let model = ModelInfo {
            id: "echo/echo-1".to_owned(),
            name: "Echo".to_owned(),
            dialect: Dialect::OpenAiChat,
            context_tokens: 128_000,
            output_tokens_max: 8192,
        };
        let input = RenderInput {
            spec: &spec,
            credential: &AgentCredential(token.clone()),
            broker_port: 1,
            broker_key: &SecretString::from("MARKER-key"),
            models: &[model],
            egress_port: None,
        };
        let workload = render::render(&input, &token).unwrap();
        // Free when asked for; nothing else on a test machine picks ports by number.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let instance = Self { root, workload, port };
        for folder in ["/reef/workspace", "/home/agent", "/tmp", "/run/reef"] {
            std::fs::create_dir_all(instance.on_host(folder)).unwrap();
        }
        std::os::unix::fs::symlink(dir.join("store"), instance.on_host("/reef/versions")).unwrap();
        for file in &instance.workload.files {
            let path = PathBuf::from(instance.on_host(&file.path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, instance.on_host(&file.content)).unwrap();
        }
        for secret in &instance.workload.secrets {
            std::fs::write(instance.on_host(&format!("/run/reef/{}", secret.name)), &secret.value).unwrap();
        }
        instance
    }

    /// Replaces the sandbox's paths and port in a text.
    fn on_host(&self, text: &str) -> String {
        let text = text.replace(&render::GATEWAY_PORT.to_string(), &self.port.to_string());
        let text = if text == "/tmp" { "<>/tmp".to_owned() } else { text };
        // In two steps, because the folders of the host have the same names at their ends.
        let text = text.replace("/run/reef", "<>/run").replace("/reef/", "<>/main/").replace("/home/agent", "<>/home");
        text.replace("<>", self.root.to_str().unwrap())
    }

    fn command(&self, further: &[&str]) -> Command {
        let argv = &self.workload.argv;
        let mut command = Command::new(self.on_host(&argv[0]));
        command.args(argv[1..].iter().map(|arg| self.on_host(arg))).args(further).env_clear();
        command.envs(self.workload.env.iter().map(|(name, value)| (name, self.on_host(value))));
        command.current_dir(self.on_host(&self.workload.cwd)).stdin(Stdio::null());
        command
    }

    /// Runs the start program in front of a stand-in for OpenClaw, and returns the configuration that it leaves.
    fn merged(&self, current: Option<&str>) -> (Value, String) {
        let config = self.on_host("/reef/state/openclaw.json");
        match current {
            Some(text) => std::fs::write(&config, text).unwrap(),
            None => std::fs::remove_file(&config).unwrap_or_default(),
        }
        let start = self.on_host("/reef/state/reef/start.json");
        let rendered = std::fs::read_to_string(&start).unwrap();
        // Beside the real entry, where the parser of the configuration's format is found.
        let entry: Value = serde_json::from_str(&rendered).unwrap();
        let real = PathBuf::from(entry["entry"].as_str().unwrap());
        let stand_in = real.with_file_name("stand-in.mjs");
        std::fs::write(&stand_in, "console.log(process.argv[1])").unwrap();
        std::fs::write(&start, rendered.replace("openclaw.mjs", "stand-in.mjs")).unwrap();
        let output = self.command(&[]).output().unwrap();
        std::fs::write(&start, rendered).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), stand_in.to_str().unwrap(), "{output:?}");
        let text = std::fs::read_to_string(config).unwrap();
        (serde_json::from_str(&text).unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn merges_its_configuration(&self) {
        let (fresh, complaint) = self.merged(None);
        assert_eq!(complaint, "");
        assert_eq!(fresh["gateway"]["auth"], json!({ "mode": "password" }));
        assert_eq!(fresh["agents"]["defaults"]["heartbeat"]["every"], "0m");

        // JSON5, as a person writes it: their wishes stay, the hub's values come back.
        let edited = "{ // mine\n agents: { defaults: { heartbeat: { every: '5m' } }, entries: { second: {} } },\n\
                      gateway: { bind: 'lan', auth: { mode: 'none', token: 'x' }, reload: { mode: 'off' } },\n\
                      models: { providers: { own: { baseUrl: 'http://127.0.0.1:9' } } }, }";
        let (merged, complaint) = self.merged(Some(edited));
        assert_eq!(complaint, "");
        assert_eq!(merged["agents"]["defaults"]["heartbeat"]["every"], "5m");
        assert_eq!(merged["agents"]["entries"], json!({ "second": {} }));
        assert_eq!(merged["gateway"]["bind"], "loopback");
        assert_eq!(merged["gateway"]["auth"], json!({ "mode": "password" }));
        assert_eq!(merged["gateway"]["reload"]["mode"], "off");
        assert_eq!(merged["models"]["providers"]["own"]["baseUrl"], "http://127.0.0.1:9");
        assert_eq!(self.merged(Some(&merged.to_string())).0, merged, "a second start changes nothing");

        for unreadable in ["{ broken", "[]", "null"] {
            let (again, complaint) = self.merged(Some(unreadable));
            assert_eq!(again, fresh);
            let kept =
                complaint.split_whitespace().find(|word| word.contains(".unreadable-")).expect("its place is told");
            assert_eq!(std::fs::read_to_string(kept.trim_end_matches(',')).unwrap(), unreadable);
        }
    }

    async fn starts(&self) {
        let started = Instant::now();
        let mut gateway = self.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ready = || async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(format!("http://127.0.0.1:{}/readyz", self.port)).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        };
        while !ready().await {
            assert!(gateway.try_wait().unwrap().is_none(), "the gateway ended");
            assert!(started.elapsed() < Duration::from_secs(180), "the gateway is not ready");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("gateway ready: {:.1} s", started.elapsed().as_secs_f64());
        let log = std::fs::read_to_string(self.on_host("/reef/state/logs/gateway.log")).unwrap();
        let stopped = Command::new("kill").arg(gateway.id().to_string()).status().unwrap();
        assert!(stopped.success() && gateway.wait().unwrap().success());
        assert!(!log.contains("MARKER"));
    }
}
