//! The accept loop of one door: bounded connections, a limit on slow heads, and an end that lets answers finish.

use std::{sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Tenant,
    broker::Shared,
    call::{Caller, handle},
};

/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Pause after a failed accept, so that a lack of file descriptors is not made worse by a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A door that is open. Dropping it closes the door; answers in progress may finish within the broker's drain limit.
#[derive(Debug)]
pub struct ServeHandle {
    stop: CancellationToken,
    cut: CancellationToken,
    /// Nobody waits for the end any more: the broker's own limit holds.
    abandoned: CancellationToken,
    running: TaskTracker,
}

impl ServeHandle {
    /// Closes the door, waits up to `limit` for answers in progress and then cuts them.
    pub async fn shutdown(self, limit: Duration) {
        self.stop.cancel();
        self.running.close();
        if tokio::time::timeout(limit, self.running.wait()).await.is_err() {
            self.cut.cancel();
            self.running.wait().await;
        }
    }

    /// Connections through this door now.
    pub fn connections(&self) -> usize {
        // The accept loop is one of the tasks.
        self.running.len().saturating_sub(1)
    }
}

impl Drop for ServeHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        self.abandoned.cancel();
    }
}

pub(crate) fn serve(shared: Arc<Shared>, listener: TcpListener, tenant: Tenant) -> ServeHandle {
    let handle = ServeHandle {
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
        abandoned: CancellationToken::new(),
        running: TaskTracker::new(),
    };
    let door = Door {
        stop: handle.stop.clone(),
        cut: handle.cut.clone(),
        abandoned: handle.abandoned.clone(),
        caller: Caller::new(shared.clone(), Arc::new(tenant)),
        shared,
    };
    handle.running.spawn(door.accept(listener, handle.running.clone()));
    handle
}

#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    caller: Caller,
    stop: CancellationToken,
    cut: CancellationToken,
    abandoned: CancellationToken,
}

impl Door {
    async fn accept(self, listener: TcpListener, running: TaskTracker) {
        let permits = Arc::new(Semaphore::new(self.shared.limits.connections_max));
        loop {
            // A full house waits in the kernel's queue, not in tasks of the hub.
            let next = async {
                let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
                (permit, listener.accept().await)
            };
            let (permit, stream) = tokio::select! {
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match stream {
                Ok((stream, _)) => {
                    let connection = self.clone().connection(stream);
                    running.spawn(async move {
                        let _permit = permit;
                        connection.await;
                    });
                }
                Err(err) => {
                    tracing::warn!(%err, "the model door cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream) {
        let Self { shared, caller, stop, cut, abandoned } = self;
        // Words of an answer are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |req| {
            let caller = caller.clone();
            async move { Ok::<_, std::convert::Infallible>(handle(caller, req).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.limits.header_read)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            () = cut.cancelled() => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let late = async {
            abandoned.cancelled().await;
            tokio::time::sleep(shared.limits.drain).await;
        };
        tokio::select! {
            _ = &mut connection => {}
            () = cut.cancelled() => {}
            () = late => {}
        }
    }
}
