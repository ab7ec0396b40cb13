//! Starts the real gateway in a folder of its own, by hand.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

/// How long an idle gateway may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct RealGateway {
    pub(super) port: u16,
    child: Child,
    home: TempDir,
}

impl RealGateway {
    /// Starts it; it is not ready for seconds after that.
    pub(super) async fn start(model_port: u16, token: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = free_port().await;
        let path = |name: &str| home.path().join(name).display().to_string();
        for folder in ["state", "workspace", "tmp"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        let model = json!({"id": "mock-1", "name": "Mock", "reasoning": false, "input": ["text"],
            "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0}, "contextWindow": 128_000, "maxTokens": 8192});
        let config = json!({
            "gateway": {"mode": "local", "bind": "loopback", "port": port, "auth": {"mode": "token", "token": token},
                "controlUi": {"enabled": false}, "terminal": {"enabled": false}, "tailscale": {"mode": "off"}},
            "logging": {"file": path("state/gateway.log"), "consoleStyle": "json"},
            "update": {"checkOnStart": false, "auto": {"enabled": false}},
            "telemetry": {"enabled": false},
            "discovery": {"mdns": {"mode": "off"}},
            "agents": {"defaults": {"workspace": path("workspace"), "skipBootstrap": true, "model": {"primary": "lab/mock-1"}}},
            "models": {"mode": "replace", "catalogRefresh": {"enabled": false}, "providers": {"lab": {
                "baseUrl": format!("http://127.0.0.1:{model_port}/v1"), "api": "openai-completions", "apiKey": "k",
                "models": [model]}}},
        });
        std::fs::write(home.path().join("openclaw.json"), config.to_string()).unwrap();
        Self { port, child: spawn(home.path()), home }
    }

    /// Kills it without a word, and starts it again on what it left behind.
    pub(super) async fn die_and_return(&mut self) {
        self.child.kill().await.unwrap();
        self.child = spawn(self.home.path());
    }

    /// Asks it to end and waits until it did.
    pub(super) async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let exit = timeout(STOP_PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(exit.success(), "{exit}");
    }
}

fn spawn(home: &Path) -> Child {
    let (node, openclaw) = programs();
    Command::new(node)
        .arg(openclaw)
        .args(["gateway", "run"])
        .current_dir(home)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("OPENCLAW_HOME", home)
        .env("OPENCLAW_STATE_DIR", home.join("state"))
        .env("OPENCLAW_CONFIG_PATH", home.join("openclaw.json"))
        .env("TMPDIR", home.join("tmp"))
        .envs(
            ["OPENCLAW_DISABLE_BONJOUR", "OPENCLAW_NO_AUTO_UPDATE", "OPENCLAW_OFFLINE", "OPENCLAW_NO_RESPAWN"]
                .map(|name| (name, "1")),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Node and OpenClaw, the newest of each.
fn programs() -> (PathBuf, PathBuf) {
    let root = std::env::var_os("REEF_TEST_VERSIONS").map(PathBuf::from).expect(
        "REEF_TEST_VERSIONS names a folder with node/<version>/bin/node and \
         openclaw/<version>/node_modules/openclaw/openclaw.mjs",
    );
    let find = |kind: &str, file: &str| {
        let folders = std::fs::read_dir(root.join(kind)).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> =
            folders.map(|folder| folder.path().join(file)).filter(|path| path.exists()).collect();
        found.sort();
        found.pop().unwrap_or_else(|| panic!("{}/{kind}/<version>/{file} is missing", root.display()))
    };
    (find("node", "bin/node"), find("openclaw", "node_modules/openclaw/openclaw.mjs"))
}

async fn free_port() -> u16 {
    // The gateway cannot take a socket over, so there is a short moment in which another program may take the port.
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
