//! A whole hub in a temporary directory, served on a port of its own, over a fake driver and a fake agent.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::Method;
use reef_driver::testkit::{FakeDriver, FakeVersions};
use reef_server::{Hub, HubConfig, HubParts, ListenerLimits, serve_tcp, serve_unix};
use reef_store::Store;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};

use crate::{
    agent::FakeAgent,
    client::{Answer, Client},
};

/// The longest that a test waits for a condition. Generous: it is only reached by a failing test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running hub and everything around it that a test may want to touch.
pub struct TestHub {
    pub hub: Hub,
    pub addr: SocketAddr,
    pub socket: PathBuf,
    pub driver: FakeDriver,
    pub versions: FakeVersions,
    pub agent: FakeAgent,
    pub dir: Arc<TempDir>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl std::fmt::Debug for TestHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHub").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl TestHub {
    /// A fresh hub that nobody owns.
    pub async fn start() -> Self {
        let dir = Arc::new(TempDir::new().expect("a temporary directory"));
        Self::over(dir, FakeDriver::new("process"), FakeVersions::new(), FakeAgent::new(), Duration::from_secs(60))
            .await
    }

    /// A hub whose agents must be ready within this time.
    pub async fn start_with_ready_limit(limit: Duration) -> Self {
        let dir = Arc::new(TempDir::new().expect("a temporary directory"));
        Self::over(dir, FakeDriver::new("process"), FakeVersions::new(), FakeAgent::new(), limit).await
    }

    /// A hub with an owner, and a client that is signed in by an API token.
    pub async fn owned() -> (Self, Client) {
        let hub = Self::start().await;
        let client = hub.own().await;
        (hub, client)
    }

    async fn over(
        dir: Arc<TempDir>,
        driver: FakeDriver,
        versions: FakeVersions,
        agent: FakeAgent,
        ready_limit: Duration,
    ) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = tcp.local_addr().expect("an address");
        let socket = dir.path().join("hub.sock");
        let _ = std::fs::remove_file(&socket);
        let unix = UnixListener::bind(&socket).expect("a socket");
        let mut config = HubConfig::new(dir.path().to_owned(), addr);
        config.drain = Duration::from_secs(2);
        config.ready_limit = ready_limit;
        let hub = Hub::start(HubParts {
            config,
            store: Store::open(dir.path()).expect("the store opens"),
            drivers: vec![Arc::new(driver.clone())],
            versions: Arc::new(versions.clone()),
            agents: vec![Arc::new(agent.clone())],
        })
        .await
        .expect("the hub starts");
        let servers = vec![
            tokio::spawn(serve_tcp(hub.clone(), tcp, ListenerLimits::default())),
            tokio::spawn(serve_unix(hub.clone(), unix, ListenerLimits::default())),
        ];
        Self { hub, addr, socket, driver, versions, agent, dir, servers }
    }

    /// Ends this hub and starts another one over the same data and the same world.
    pub async fn restart(self) -> Self {
        let Self { hub, driver, versions, agent, dir, servers, .. } = self;
        hub.shutdown().await;
        for server in servers {
            let _ = server.await;
        }
        drop(hub);
        Self::over(dir, driver, versions, agent, Duration::from_secs(60)).await
    }

    /// Nobody in particular.
    pub fn anonymous(&self) -> Client {
        Client::new(self.addr)
    }

    /// Makes the owner `ada` and a token with all rights.
    pub async fn own(&self) -> Client {
        let code = self.hub.setup_code().await.expect("the store works").expect("nobody owns it yet");
        let body = json!({ "code": code.expose_secret(), "name": "ada", "password": "correct horse battery" });
        let answer = self.anonymous().send(Method::POST, "/api/setup", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let session = self.anonymous().with_cookie_of(&answer);
        session.token("all").await
    }

    /// Creates an instance and waits until it is ready.
    pub async fn create(&self, client: &Client, name: &str) -> Value {
        let answer = client.send(Method::POST, "/api/instances?wait=ready", Some(json!({ "name": name }))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["instance"].clone()
    }

    /// Waits until an instance is in a phase; returns its view.
    pub async fn wait_for_phase(&self, client: &Client, name: &str, phase: &str) -> Value {
        self.wait_for(client, name, |view| view["phase"] == phase).await
    }

    /// Waits until the view of an instance is as wanted.
    pub async fn wait_for(&self, client: &Client, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer: Answer = client.get(&format!("/api/instances/{name}")).await;
            let view = answer.json();
            if answer.status == 200 && wanted(&view) {
                return view;
            }
            assert!(tokio::time::Instant::now() < deadline, "it never came to that: {view:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
