//! The accept loop. `axum::serve` sets no time limits at all: a client that sends half a header would hold its connection
//! for ever.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{extract::BodyTimeout, gate, impatient::Impatient};
use crate::hub::Hub;

/// What one listener allows.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Time for a request head, and between two requests of a connection.
    pub head_timeout: Duration,
    /// Bytes of a request head.
    pub head_bytes_max: usize,
    /// Time for all of a JSON body.
    pub body_timeout: Duration,
    /// Time for the client to take something of what it was sent.
    pub stall_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            head_timeout: Duration::from_secs(30),
            head_bytes_max: 64 << 10,
            body_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    Network(IpAddr),
    /// The local socket; the kernel says who is at the other end.
    Local {
        uid: u32,
    },
}

/// Serves people and programs until the hub is told to stop; then ends what runs within the drain limit.
///
/// # Errors
/// When the listener itself breaks.
pub async fn serve_tcp(hub: Hub, listener: TcpListener, limits: ListenerLimits) -> io::Result<()> {
    let mut server = Server::new(hub, limits);
    while let Some(accepted) = server.next(listener.accept()).await {
        match accepted {
            Ok((stream, addr)) => {
                let _ = stream.set_nodelay(true);
                server.connection(stream, Peer::Network(addr.ip())).await;
            }
            Err(err) => server.accept_failed(&err).await,
        }
    }
    server.finish().await;
    Ok(())
}

/// Serves the local command line. The caller makes the socket with mode 0600.
///
/// # Errors
/// When the listener itself breaks.
pub async fn serve_unix(hub: Hub, listener: UnixListener, limits: ListenerLimits) -> io::Result<()> {
    let mut server = Server::new(hub, limits);
    let own = rustix::process::geteuid().as_raw();
    while let Some(accepted) = server.next(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(cred) if cred.uid() == own || cred.uid() == 0 => {
                    server.connection(stream, Peer::Local { uid: cred.uid() }).await;
                }
                Ok(cred) => tracing::warn!(uid = cred.uid(), "a stranger at the local socket was sent away"),
                Err(err) => tracing::warn!(error = %err, "a local client could not be identified"),
            },
            Err(err) => server.accept_failed(&err).await,
        }
    }
    server.finish().await;
    Ok(())
}

struct Server {
    hub: Hub,
    router: axum::Router,
    limits: ListenerLimits,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    /// Cancelled when the drain limit is over.
    cut: CancellationToken,
}

impl Server {
    fn new(hub: Hub, limits: ListenerLimits) -> Self {
        Self {
            router: crate::api::router(&hub),
            slots: Arc::new(Semaphore::new(limits.connections_max)),
            connections: TaskTracker::new(),
            cut: CancellationToken::new(),
            limits,
            hub,
        }
    }

    /// The next connection; none once the hub stops.
    async fn next<T>(&self, accept: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
        tokio::select! {
            () = self.hub.0.stopping.cancelled() => None,
            accepted = accept => Some(accepted),
        }
    }

    /// Out of descriptors, mostly: waiting lets others end.
    async fn accept_failed(&self, err: &io::Error) {
        tracing::warn!(error = %err, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn connection(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let slot = tokio::select! {
            // Whoever holds the slots may be waiting for the end that comes after this.
            () = self.hub.0.stopping.cancelled() => return,
            slot = self.slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { return };
        let (hub, router, limits) = (self.hub.clone(), self.router.clone(), self.limits);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(BodyTimeout(limits.body_timeout));
            let (hub, router) = (hub.clone(), router.clone());
            async move { Ok::<_, std::convert::Infallible>(gate::pass(hub, router, request.map(Body::new)).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes_max)
            // The buffer alone is no exact limit: a head that arrives in one read may be larger.
            .max_header_size(self.limits.head_bytes_max)
            .half_close(false)
            .serve_connection(TokioIo::new(Impatient::new(stream, limits.stall_timeout)), service)
            .with_upgrades();
        let (stopping, cut) = (self.hub.0.stopping.clone(), self.cut.clone());
        self.connections.spawn(async move {
            let _held = slot;
            tokio::pin!(connection);
            let served = async {
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = stopping.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            };
            tokio::select! {
                result = served => if let Err(err) = result {
                    tracing::debug!(error = %err, "a connection ended early");
                },
                () = cut.cancelled() => {}
            }
        });
    }

    async fn finish(self) {
        let drain = self.hub.0.config.drain;
        self.connections.close();
        if tokio::time::timeout(drain, self.connections.wait()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "cut what did not end within {} s", drain.as_secs());
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}
