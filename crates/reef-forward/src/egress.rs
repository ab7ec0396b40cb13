//! The door of an instance to the internet: a forward proxy (RFC 9110 section 7.7, CONNECT section 9.3.6) that reaches
//! public addresses only.
//!
//! Names are resolved here, once, and the connection goes to the very address that was checked, so that a name cannot
//! point somewhere else between check and use. It never looks into what is carried.

mod address;
mod connect;
mod request;
mod tunnel;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections of one instance at the same time.
const CONNECTIONS_MAX: usize = 256;
/// Until the head of a request is complete.
const HEADER_READ: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Pause after a failed accept, so that a lack of file descriptors is not made worse by a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where connections may go.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    allow: Vec<SocketAddr>,
}

impl EgressPolicy {
    /// Public addresses that are not this machine's own.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Lets these exact addresses through as well, whatever they are.
    #[must_use]
    pub fn allowing(mut self, allow: Vec<SocketAddr>) -> Self {
        self.allow = allow;
        self
    }

    /// Whether a connection to an address may be made.
    pub fn permits(&self, addr: SocketAddr) -> bool {
        self.allow.contains(&addr) || (address::is_public(addr.ip()) && !address::is_own(addr))
    }
}

/// The egress proxy.
#[derive(Debug)]
pub struct Egress;

impl Egress {
    /// Serves one instance's door until the handle is dropped or shut down.
    pub fn serve(listener: TcpListener, policy: EgressPolicy) -> EgressHandle {
        let handle = EgressHandle { stop: CancellationToken::new(), running: TaskTracker::new() };
        let (stop, running) = (handle.stop.clone(), handle.running.clone());
        handle.running.spawn(accept(listener, Arc::new(policy), stop, running));
        handle
    }
}

/// A running egress proxy; dropping it closes the door and every connection through it.
#[derive(Debug)]
pub struct EgressHandle {
    stop: CancellationToken,
    running: TaskTracker,
}

impl EgressHandle {
    /// Closes the door and every connection through it, and waits until they are gone.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }

    /// Connections through this door now.
    pub fn connections(&self) -> usize {
        // The accept loop is one of the tasks.
        self.running.len().saturating_sub(1)
    }
}

impl Drop for EgressHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, policy: Arc<EgressPolicy>, stop: CancellationToken, running: TaskTracker) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // A full house waits in the kernel's queue, not in tasks of the hub.
        let next = async {
            let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let (policy, stop) = (policy.clone(), stop.clone());
        let tunnels = running.clone();
        running.spawn(async move {
            let permit = Arc::new(permit);
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(stream, policy, tunnels, stop.clone(), permit) => {}
            }
        });
    }
}

async fn serve(
    stream: TcpStream,
    policy: Arc<EgressPolicy>,
    tunnels: TaskTracker,
    stop: CancellationToken,
    permit: Arc<tokio::sync::OwnedSemaphorePermit>,
) {
    let service = service_fn(move |req| {
        let door = request::Door {
            policy: policy.clone(),
            tunnels: tunnels.clone(),
            stop: stop.clone(),
            permit: permit.clone(),
        };
        async move { Ok::<_, std::convert::Infallible>(door.handle(req).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(err) = served {
        tracing::debug!(%err, "egress connection ended");
    }
}

#[cfg(test)]
mod tests;
