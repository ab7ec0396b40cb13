//! A whole hub in a temporary directory, served on a port of its own, over a fake driver and a fake agent.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::Method;
use reef_driver::testkit::{FakeDriver, FakeVersions};
use reef_server::{Hub, HubConfig, HubParts, ListenerLimits, Pacing, serve_tcp, serve_unix};
use reef_store::{Store, StoreError};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::Runtime,
    task::JoinHandle,
};

use crate::{
    agent::FakeAgent,
    client::{Answer, Client},
};

/// The longest that a test waits for a condition. Generous: it is only reached by a failing test.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The owner's password.
pub const PASSWORD: &str = "correct horse battery";

/// What a test may want to be different.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub ready_limit: Duration,
    pub pacing: Pacing,
    pub limits: ListenerLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ready_limit: Duration::from_secs(60),
            pacing: Pacing {
                restart_first: Duration::from_millis(10),
                restart_max: Duration::from_millis(100),
                step_retry: Duration::from_millis(50),
                link_grace: Duration::from_millis(200),
                degraded_max: PATIENCE,
                probe_every: Duration::ZERO,
            },
            limits: ListenerLimits::default(),
        }
    }
}

/// A running hub and everything around it that a test may want to touch.
pub struct TestHub {
    pub hub: Hub,
    pub addr: SocketAddr,
    pub socket: PathBuf,
    pub driver: FakeDriver,
    pub versions: FakeVersions,
    pub agent: FakeAgent,
    pub dir: Arc<TempDir>,
    settings: Settings,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    home: Home,
}

/// The threads of one hub. Ending them ends it between any two steps, as a kill does.
struct Home(Option<Runtime>);

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for TestHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHub").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl TestHub {
    /// A fresh hub that nobody owns.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// A fresh hub that is different.
    pub async fn start_with(settings: Settings) -> Self {
        let dir = Arc::new(TempDir::new().expect("a temporary directory"));
        Self::over(dir, FakeDriver::new("process"), FakeVersions::new(), FakeAgent::new(), settings).await
    }

    /// A hub with an owner, and a client that is signed in by an API token.
    pub async fn owned() -> (Self, Client) {
        Self::owned_with(Settings::default()).await
    }

    /// A different hub with an owner.
    pub async fn owned_with(settings: Settings) -> (Self, Client) {
        let hub = Self::start_with(settings).await;
        let client = hub.own().await;
        (hub, client)
    }

    async fn over(
        dir: Arc<TempDir>,
        driver: FakeDriver,
        versions: FakeVersions,
        agent: FakeAgent,
        settings: Settings,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let home = Home(Some(runtime.expect("a runtime")));
        let spawner = home.0.as_ref().expect("it was just made").handle().clone();
        let store = open_store(&dir).await;
        let parts = (driver.clone(), versions.clone(), agent.clone());
        let folder = dir.path().to_owned();
        let started = spawner.spawn(async move {
            let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let addr = tcp.local_addr().expect("an address");
            let socket = folder.join("hub.sock");
            let _ = std::fs::remove_file(&socket);
            let unix = UnixListener::bind(&socket).expect("a socket");
            let mut config = HubConfig::new(folder, addr);
            config.drain = Duration::from_secs(2);
            config.ready_limit = settings.ready_limit;
            config.pacing = settings.pacing;
            let (driver, versions, agent) = parts;
            let hub = Hub::start(HubParts {
                config,
                store,
                drivers: vec![Arc::new(driver)],
                versions: Arc::new(versions),
                agents: vec![Arc::new(agent)],
            });
            let hub = hub.await.expect("the hub starts");
            let servers = vec![
                tokio::spawn(serve_tcp(hub.clone(), tcp, settings.limits)),
                tokio::spawn(serve_unix(hub.clone(), unix, settings.limits)),
            ];
            (hub, addr, socket, servers)
        });
        let (hub, addr, socket, servers) = started.await.expect("the hub starts");
        Self { hub, addr, socket, driver, versions, agent, dir, settings, servers, home }
    }

    /// Ends this hub in good order and starts another one over the same data and the same world.
    pub async fn restart(self) -> Self {
        let Self { hub, driver, versions, agent, dir, settings, servers, home, .. } = self;
        hub.shutdown().await;
        for server in servers {
            let _ = server.await;
        }
        hub.close().await;
        drop((hub, home));
        Self::over(dir, driver, versions, agent, settings).await
    }

    /// Cuts this hub off wherever it is, and starts another one over the same data and the same world.
    pub async fn crash(self) -> Self {
        let Self { hub, driver, versions, agent, dir, settings, home, .. } = self;
        drop((home, hub));
        Self::over(dir, driver, versions, agent, settings).await
    }

    /// Nobody in particular.
    pub fn anonymous(&self) -> Client {
        Client::new(self.addr)
    }

    /// Makes the owner `ada` and a token with all rights.
    pub async fn own(&self) -> Client {
        self.own_in_browser().await.token("all").await
    }

    /// Makes the owner `ada`, signed in as a browser.
    pub async fn own_in_browser(&self) -> Client {
        let code = self.hub.setup_code().await.expect("the store works").expect("nobody owns it yet");
        let body = json!({ "code": code.expose_secret(), "name": "ada", "password": PASSWORD });
        let answer = self.anonymous().send(Method::POST, "/api/setup", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.anonymous().with_cookie_of(&answer)
    }

    /// Creates an instance and waits until it is ready.
    pub async fn create(&self, client: &Client, name: &str) -> Value {
        let answer = client.post("/api/instances?wait=ready", json!({ "name": name })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["instance"].clone()
    }

    /// Waits until an instance is in a phase; returns its view.
    pub async fn wait_for_phase(&self, client: &Client, name: &str, phase: &str) -> Value {
        self.wait_for(client, name, |view| view["phase"] == phase).await
    }

    /// Waits until the view of an instance is as wanted.
    pub async fn wait_for(&self, client: &Client, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/instances/{name}");
        client.wait_for(&path, |answer| answer.status == 200 && wanted(&answer.json())).await.json()
    }
}

impl Client {
    /// Asks until the answer is as wanted.
    pub async fn wait_for(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "it never came to that: {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The store of a hub that was just ended is locked until the last of its threads has noticed.
async fn open_store(dir: &TempDir) -> Store {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match Store::open(dir.path()) {
            Err(StoreError::Locked { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.expect("the store opens"),
        }
    }
}
