//! The listening side: who is let in, how many at once, and how it ends.

mod call;
mod verbs;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reef_driver::{Driver, TaskRunner, VersionInstaller};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{NodeError, lock::DataDirLock, peer::TrustedUids, store::Store, wire};

/// How long the node waits at its start for a driver to list its instances.
const INVENTORY_TIME_MAX: Duration = Duration::from_secs(30);

/// What a node is made of.
pub struct NodeConfig {
    /// Everything the node keeps is below this folder. One node at a time may use it.
    pub data_dir: PathBuf,
    pub drivers: Vec<Arc<dyn Driver>>,
    pub installers: Vec<Arc<dyn VersionInstaller>>,
    pub tasks: Arc<dyn TaskRunner>,
    /// The user that the hub runs as, when it is neither root nor the node's own.
    pub hub_uid: Option<u32>,
}

impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConfig")
            .field("data_dir", &self.data_dir)
            .field("drivers", &self.drivers.iter().map(|driver| driver.kind()).collect::<Vec<_>>())
            .field("hub_uid", &self.hub_uid)
            .finish_non_exhaustive()
    }
}

/// A node that holds its data directory and is ready to serve.
pub struct Server {
    shared: Arc<Shared>,
    trusted: TrustedUids,
    hub_uid: Option<u32>,
    _lock: DataDirLock,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("drivers", &self.shared.drivers.keys()).finish_non_exhaustive()
    }
}

/// What every call may use.
struct Shared {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
    store: Store,
    streams: Arc<Semaphore>,
    relays: Arc<Semaphore>,
    /// Set when the node is told to stop; streams and relays end then.
    shutdown: CancellationToken,
}

impl Server {
    /// Locks the data directory and clears away what a killed predecessor left half done. Blocks for as long as that
    /// takes.
    ///
    /// # Errors
    /// `Locked` when another node uses the directory, `Io` when it cannot be used, `Duplicate` when two drivers or
    /// installers have the same name.
    pub fn new(config: NodeConfig) -> Result<Self, NodeError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.data_dir)
            .map_err(|err| NodeError::io("cannot create", &config.data_dir, err))?;
        let lock = DataDirLock::acquire(&config.data_dir)?;
        let mut drivers = BTreeMap::new();
        for driver in config.drivers {
            if drivers.insert(driver.kind(), Arc::clone(&driver)).is_some() {
                return Err(NodeError::Duplicate(driver.kind().to_owned()));
            }
        }
        let shared = Shared {
            drivers,
            store: Store::open(&config.data_dir, config.installers, config.tasks)?,
            streams: Arc::new(Semaphore::new(wire::STREAMS_MAX)),
            relays: Arc::new(Semaphore::new(wire::RELAYS_MAX)),
            shutdown: CancellationToken::new(),
        };
        let trusted = TrustedUids::with(config.hub_uid.as_slice());
        Ok(Self { shared: Arc::new(shared), trusted, hub_uid: config.hub_uid, _lock: lock })
    }

    /// Listens at `path`, in place of a socket that a predecessor left there (the lock on the data directory says that it
    /// is gone). Only root, the node's own user and the hub's may connect.
    ///
    /// # Errors
    /// When there is something else than a socket at `path`, or the folder is missing or forbids it.
    pub fn bind(&self, path: &Path) -> Result<UnixListener, NodeError> {
        use std::os::unix::fs::FileTypeExt;
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => {
                fs::remove_file(path).map_err(|err| NodeError::io("cannot remove the old socket", path, err))?;
            }
            Ok(_) => {
                let err = io::Error::from(io::ErrorKind::AlreadyExists);
                return Err(NodeError::io("there is something else than a socket at", path, err));
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(NodeError::io("cannot look at", path, err)),
        }
        let listener = UnixListener::bind(path).map_err(|err| NodeError::io("cannot listen at", path, err))?;
        // Between these calls a stranger may connect; the check of the peer's user does not depend on the mode.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(|err| NodeError::io("cannot set the mode of", path, err))?;
        if let Some(uid) = self.hub_uid {
            std::os::unix::fs::chown(path, Some(uid), None)
                .map_err(|err| NodeError::io("cannot give to the hub's user", path, err))?;
        }
        Ok(listener)
    }

    /// Serves until `shutdown`, then lets short calls end ([`wire::DRAIN_TIME_MAX`]), ends streams and installations, and
    /// returns. Instances are left running.
    pub async fn serve(self, listener: UnixListener, shutdown: CancellationToken) {
        let Self { shared, trusted, .. } = &self;
        shared.forget_unused().await;
        let slots = Arc::new(Semaphore::new(wire::CALLS_MAX));
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = calls.join_next() => log_panic(ended),
                stream = accept(&listener, &slots) => {
                    let (stream, slot) = stream;
                    let stranger = trusted.check(&stream).err();
                    let shared = Arc::clone(shared);
                    calls.spawn(async move {
                        call::serve(&shared, stream, stranger).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(listener);
        shared.shutdown.cancel();
        let drained = tokio::time::timeout(wire::DRAIN_TIME_MAX, async {
            while let Some(ended) = calls.join_next().await {
                log_panic(ended);
            }
            shared.store.drain().await;
        });
        if drained.await.is_err() {
            tracing::warn!(calls = calls.len(), "stopping with calls still running; they are safe to repeat");
        }
        calls.shutdown().await;
    }
}

/// The next connection, once there is room for it. Errors of accept(2) concern one peer or pass (descriptors used up), so
/// they are waited out.
async fn accept(listener: &UnixListener, slots: &Arc<Semaphore>) -> (UnixStream, tokio::sync::OwnedSemaphorePermit) {
    const RETRY_AFTER: Duration = Duration::from_millis(100);
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(err) => {
                tracing::warn!(%err, "cannot accept a connection");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(err) = ended
        && err.is_panic()
    {
        tracing::error!("a call panicked; its connection was closed");
    }
}

impl Shared {
    /// Drops claims on versions by instances that no longer exist. A driver that cannot tell keeps its claims. Must end
    /// before the first call is served: an instance made meanwhile would lose its claim.
    async fn forget_unused(&self) {
        for (kind, driver) in &self.drivers {
            let found = match tokio::time::timeout(INVENTORY_TIME_MAX, driver.inventory()).await {
                Ok(Ok(found)) => found,
                Ok(Err(err)) => {
                    tracing::warn!(driver = kind, %err, "cannot list instances; their versions stay claimed");
                    continue;
                }
                Err(_) => {
                    tracing::warn!(driver = kind, "instances are not listed in time; their versions stay claimed");
                    continue;
                }
            };
            let ids = found.iter().map(|observed| observed.id).collect();
            if let Err(err) = self.store.retain_claims(kind, ids).await {
                tracing::warn!(driver = kind, %err, "cannot clear old claims on versions");
            }
        }
    }
}
