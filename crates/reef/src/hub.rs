//! `reef __hub`: everything that people and the network touch, with as few rights as this machine lets it give up.

use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use reef_node::NodeClient;
use reef_openclaw::OpenClaw;
use reef_server::{Hub, HubConfig, HubParts, ListenerLimits, serve_tcp, serve_unix};
use reef_store::Store;
use reef_types::Enforcement;
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, UnixListener};

use crate::{
    descriptors, logging,
    paths::Paths,
    runtime,
    signals::{self, Supervisor},
    tls,
};

/// How long the node may take to come up.
const NODE_WAIT: Duration = Duration::from_secs(20);

/// What `reef up` tells its hub.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HubArgs {
    #[command(flatten)]
    pub(crate) supervisor: Supervisor,
    /// Address to listen at
    #[arg(long, env = "REEF_LISTEN", default_value = "127.0.0.1:7700", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Stop all instances when the hub is told to stop
    #[arg(long)]
    pub(crate) stop_instances_on_exit: bool,
}

/// Runs until it is told to stop.
pub(crate) fn run(data_dir: &Path, args: &HubArgs) -> anyhow::Result<()> {
    args.supervisor.stop_together()?;
    logging::init();
    descriptors::raise_limit();
    check_listen(args.listen)?;
    let paths = Paths::create(data_dir).context("the data directory cannot be used")?;
    if reef_sandbox::shim::runs_as_host_root() {
        paths.give_to_hub().context("the hub's folders cannot be given to its user")?;
    }
    // Before any thread is started: rights that are given up here are given up for all of them.
    let walls = reef_sandbox::confine_hub(&[paths.hub.clone(), paths.run.clone()], std::slice::from_ref(&paths.ctl))
        .context("the hub cannot give up its rights")?;
    // A change of identity forgets it.
    args.supervisor.stop_together()?;
    report(&walls);
    tls::init();
    let runtime = runtime::server().context("the hub cannot start its threads")?;
    runtime.block_on(serve(paths, args))
}

fn report(walls: &[Enforcement]) {
    for wall in walls {
        if wall.limit == "identity" {
            tracing::info!("the hub {}", wall.reason);
        } else {
            tracing::debug!(wall = %wall.limit, enforced = wall.enforced, reason = %wall.reason, "hub confined");
        }
    }
}

/// There is no TLS in this version, and a password in the clear on a network is no protection.
fn check_listen(listen: SocketAddr) -> anyhow::Result<()> {
    if !listen.ip().is_loopback() {
        bail!(
            "refusing to listen at {listen}: beyond loopback Reef needs TLS, which this version does not have; \
             listen at 127.0.0.1 and put a TLS proxy or an SSH tunnel in front"
        );
    }
    Ok(())
}

async fn serve(paths: Paths, args: &HubArgs) -> anyhow::Result<()> {
    let stop = signals::stop_token()?;
    let store = Store::open(&paths.hub).map_err(describe_store)?;
    let tcp = TcpListener::bind(args.listen).await.with_context(|| {
        format!("cannot listen at {}: is another program there? choose another address with --listen", args.listen)
    })?;
    let listen = tcp.local_addr()?;
    let unix = bind_socket(&paths.hub_socket())?;
    let node = NodeClient::new(paths.node_socket());
    wait_for_node(&node).await?;

    let mut config = HubConfig::new(paths.hub.clone(), listen);
    if let Some(limit) = ready_limit() {
        config.ready_limit = limit;
    }
    let hub = Hub::start(HubParts {
        config,
        store,
        drivers: vec![node.driver("process")],
        versions: Arc::new(node),
        agents: vec![Arc::new(OpenClaw)],
    })
    .await?;
    announce(&hub, &paths).await?;
    let servers = async {
        tokio::join!(
            serve_tcp(hub.clone(), tcp, ListenerLimits::default()),
            serve_unix(hub.clone(), unix, ListenerLimits::default())
        )
    };
    let ending = async {
        stop.cancelled().await;
        tracing::info!("stopping: running requests may end, instances stay");
        if args.stop_instances_on_exit {
            hub.stop_instances().await;
        }
        hub.shutdown().await;
    };
    let ((tcp, unix), ()) = tokio::join!(servers, ending);
    hub.close().await;
    let _ = fs::remove_file(paths.hub_socket());
    tcp.and(unix).context("a listener broke")
}

/// For tests of an agent that never gets ready; in seconds.
fn ready_limit() -> Option<Duration> {
    std::env::var("REEF_READY_LIMIT_SECS").ok()?.parse().ok().map(Duration::from_secs)
}

fn describe_store(err: reef_store::StoreError) -> anyhow::Error {
    match err {
        reef_store::StoreError::Locked { pid } => {
            anyhow::anyhow!(
                "another hub (process {pid}) uses this data directory; stop it, or choose another with --data-dir"
            )
        }
        err => anyhow::Error::from(err).context("the database cannot be opened"),
    }
}

/// The lock on the store says that no other hub is alive, so a socket that is there is a leftover.
fn bind_socket(path: &Path) -> anyhow::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            return Err(err).context("the old socket cannot be removed");
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn wait_for_node(node: &NodeClient) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + NODE_WAIT;
    loop {
        match node.hello().await {
            Ok(hello) => {
                tracing::debug!(pid = hello.pid, build = %hello.build, "node found");
                return Ok(());
            }
            Err(err) if tokio::time::Instant::now() > deadline => bail!("the node did not come up: {err}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Tells where the hub is, and on its first start how to take possession of it.
#[expect(clippy::print_stdout, reason = "this is what the person who started it waits for")]
async fn announce(hub: &Hub, paths: &Paths) -> anyhow::Result<()> {
    let url = format!("http://{}", hub.listen_addr());
    fs::write(paths.address(), hub.listen_addr().to_string())?;
    println!("Reef is running at {url}  (data in {})", paths.root.display());
    if let Some(code) = hub.setup_code().await? {
        println!("First start: make your account at {url}/setup#code={}", code.expose_secret());
        println!("The link works once, for 15 minutes. Without a browser: reef setup --owner NAME --password-stdin");
    }
    Ok(())
}
