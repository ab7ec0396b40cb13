//! Connections to one instance: how many requests and sockets it may have, and the few connections kept for reuse.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use reef_types::{ApiError, InstanceId};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::task::{AbortOnDropHandle, task_tracker::TaskTrackerToken};

use crate::{ForwardLimits, Route, error::too_many, upload::UploadBody};

/// How long a connection may take to become idle after the response body has ended.
const SETTLE: Duration = Duration::from_secs(5);

/// All instances that were talked to lately.
#[derive(Debug)]
pub(crate) struct Peers {
    peers: Mutex<HashMap<InstanceId, Arc<Peer>>>,
    limits: ForwardLimits,
}

impl Peers {
    pub(crate) fn new(limits: ForwardLimits) -> Arc<Self> {
        Arc::new(Self { peers: Mutex::default(), limits })
    }

    pub(crate) fn get(self: &Arc<Self>, id: InstanceId) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if peers.is_empty() {
            // Runs only while there is something to forget.
            tokio::spawn(sweep(Arc::downgrade(self), self.limits.idle_connection));
        }
        peers.entry(id).or_insert_with(|| Arc::new(Peer::new(&self.limits))).clone()
    }

    /// Closes what has rested too long, and says whether anything is left.
    fn sweep_once(&self) -> bool {
        let mut peers = self.peers.lock();
        peers.retain(|_, peer| {
            let mut idle = peer.idle.lock();
            idle.retain(|entry| entry.since.elapsed() < peer.idle_for && !entry.conn.sender.is_closed());
            !idle.is_empty() || Arc::strong_count(peer) > 1
        });
        !peers.is_empty()
    }
}

async fn sweep(peers: Weak<Peers>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let Some(peers) = peers.upgrade() else { return };
        if !peers.sweep_once() {
            return;
        }
    }
}

/// One instance.
pub(crate) struct Peer {
    requests: Arc<Semaphore>,
    sockets: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    idle_max: usize,
    idle_for: Duration,
}

struct Idle {
    conn: Conn,
    since: Instant,
}

/// An HTTP/1.1 connection into an instance; dropping it closes it.
pub(crate) struct Conn {
    pub(crate) sender: SendRequest<UploadBody>,
    _task: AbortOnDropHandle<()>,
    generation: u64,
    port: u16,
}

impl Conn {
    pub(crate) fn new(sender: SendRequest<UploadBody>, task: JoinHandle<()>, route: &Route) -> Self {
        Self { sender, _task: AbortOnDropHandle::new(task), generation: route.generation, port: route.port }
    }

    fn is_for(&self, route: &Route) -> bool {
        self.generation == route.generation && self.port == route.port
    }
}

impl Peer {
    fn new(limits: &ForwardLimits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests_per_instance_max)),
            sockets: Arc::new(Semaphore::new(limits.sockets_per_instance_max)),
            idle: Mutex::default(),
            idle_max: limits.idle_connections_per_instance_max,
            idle_for: limits.idle_connection,
        }
    }

    pub(crate) fn admit_request(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.requests.clone().try_acquire_owned().map_err(|_| too_many("requests in flight"))
    }

    pub(crate) fn admit_socket(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.sockets.clone().try_acquire_owned().map_err(|_| too_many("WebSocket connections"))
    }

    /// A connection that was used before and still seems good.
    pub(crate) fn take(&self, route: &Route) -> Option<Conn> {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        // The one used last is the one most likely alive. Those that rest too long below it are left to the sweep.
        std::iter::from_fn(|| idle.pop())
            .filter(|entry| entry.conn.is_for(route) && now.saturating_duration_since(entry.since) < self.idle_for)
            .map(|entry| entry.conn)
            .find(|conn| conn.sender.is_ready())
    }

    #[cfg(test)]
    pub(crate) fn idle_count(&self) -> usize {
        self.idle.lock().len()
    }

    fn put(&self, conn: Conn) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max {
            idle.push(Idle { conn, since: Instant::now() });
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

/// All that one request holds until its response body has ended.
pub(crate) struct Lease {
    pub(crate) conn: Conn,
    pub(crate) peer: Arc<Peer>,
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) _running: TaskTrackerToken,
}

impl Lease {
    /// The exchange is complete: the connection may serve another one.
    pub(crate) fn release(self) {
        let Self { mut conn, peer, .. } = self;
        if conn.sender.is_closed() {
            return;
        }
        if conn.sender.is_ready() {
            return peer.put(conn);
        }
        // The connection's own task has still to notice the end of the body.
        tokio::spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, conn.sender.ready()).await {
                peer.put(conn);
            }
        });
    }
}
