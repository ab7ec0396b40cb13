//! A driver on the other side of the socket.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream, stream::BoxStream};
use reef_driver::{
    BoxIo, DataPolicy, Destroyed, Dial, Driver, DriverError, DriverEvent, Fingerprint, LogQuery, LogStream, Observed,
    SecretFile, Workload,
};
use reef_types::InstanceId;
use rustix::net::AddressFamily;
use tokio::{
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};

use super::{NodeClient, unexpected};
use crate::wire::{Answer, Request, fd};

/// Pauses before the stream of events is opened again: doubled each time, from the first to the last.
const RECONNECT_AFTER_MIN: Duration = Duration::from_millis(100);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(5);

/// One driver of a node, usable like a local one.
#[derive(Debug, Clone)]
pub struct NodeDriver {
    node: NodeClient,
    kind: &'static str,
}

impl NodeDriver {
    pub(super) fn new(node: NodeClient, kind: &'static str) -> Self {
        Self { node, kind }
    }

    fn name(&self) -> String {
        self.kind.to_owned()
    }

    async fn done(&self, request: &Request) -> Result<(), DriverError> {
        match self.node.call(request).await? {
            Answer::Done {} => Ok(()),
            _ => Err(unexpected(request.verb())),
        }
    }

    async fn observed(&self, request: &Request) -> Result<Observed, DriverError> {
        match self.node.call(request).await? {
            Answer::Observed { observed } => Ok(observed),
            _ => Err(unexpected(request.verb())),
        }
    }

    async fn socket(&self, request: &Request) -> Result<OwnedFd, DriverError> {
        let (Answer::Socket {}, stream) = self.node.open(request).await? else {
            return Err(unexpected(request.verb()));
        };
        match timeout(request.time_limit(), fd::receive(&stream)).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(err)) => Err(DriverError::io("the node did not hand the connection over", &err)),
            Err(_) => Err(self.node.slow(request.verb())),
        }
    }
}

#[async_trait]
impl Driver for NodeDriver {
    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn fingerprint(&self) -> Result<Fingerprint, DriverError> {
        match self.node.call(&Request::Fingerprint { driver: self.name() }).await? {
            Answer::Fingerprint { fingerprint } => Ok(fingerprint),
            _ => Err(unexpected("fingerprint")),
        }
    }

    async fn prepare(&self, workload: &Workload) -> Result<(), DriverError> {
        self.done(&Request::Prepare { driver: self.name(), workload: Box::new(workload.clone()) }).await
    }

    async fn start(&self, workload: &Workload) -> Result<Observed, DriverError> {
        self.observed(&Request::Start { driver: self.name(), workload: Box::new(workload.clone()) }).await
    }

    async fn put_secrets(&self, id: InstanceId, secrets: &[SecretFile]) -> Result<(), DriverError> {
        self.done(&Request::PutSecrets { driver: self.name(), id, secrets: secrets.to_vec() }).await
    }

    async fn observe(&self, id: InstanceId) -> Result<Observed, DriverError> {
        self.observed(&Request::Observe { driver: self.name(), id }).await
    }

    async fn stop(&self, id: InstanceId, grace_ms: u64) -> Result<(), DriverError> {
        self.done(&Request::Stop { driver: self.name(), id, grace_ms }).await
    }

    async fn destroy(&self, id: InstanceId, data: DataPolicy) -> Result<Destroyed, DriverError> {
        match self.node.call(&Request::Destroy { driver: self.name(), id, data }).await? {
            Answer::Destroyed { destroyed } => Ok(destroyed),
            _ => Err(unexpected("destroy")),
        }
    }

    async fn inventory(&self) -> Result<Vec<Observed>, DriverError> {
        match self.node.call(&Request::Inventory { driver: self.name() }).await? {
            Answer::Inventory { observed } => Ok(observed),
            _ => Err(unexpected("inventory")),
        }
    }

    /// Reconnects for ever. Each time it is connected, the first included, comes a `Resync`: what happened before may
    /// have been missed, what happens from then on will not be.
    fn events(&self) -> BoxStream<'static, DriverEvent> {
        struct Events {
            driver: NodeDriver,
            stream: Option<UnixStream>,
            pause: Duration,
        }
        let state = Events { driver: self.clone(), stream: None, pause: RECONNECT_AFTER_MIN };
        stream::unfold(state, |mut state| async move {
            loop {
                let node = &state.driver.node;
                if let Some(stream) = &mut state.stream {
                    if let Ok(Answer::Event { event }) = node.next(stream).await {
                        return Some((event, state));
                    }
                    state.stream = None;
                }
                match node.subscribe(&Request::Events { driver: state.driver.name() }).await {
                    Ok(stream) => {
                        state.stream = Some(stream);
                        state.pause = RECONNECT_AFTER_MIN;
                        return Some((DriverEvent::Resync, state));
                    }
                    Err(error) => {
                        tracing::debug!(driver = state.driver.kind, %error, "no events from the node");
                        sleep(state.pause).await;
                        state.pause = (state.pause * 2).min(RECONNECT_AFTER_MAX);
                    }
                }
            }
        })
        .boxed()
    }

    fn logs(&self, id: InstanceId, query: LogQuery) -> LogStream {
        let answers = self.node.items(Request::Logs { driver: self.name(), id, query });
        answers
            .map(|answer| match answer? {
                Answer::Log { line } => Ok(line),
                _ => Err(unexpected("logs")),
            })
            .boxed()
    }

    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        let socket = self.socket(&Request::Dial { driver: self.name(), id, port }).await?;
        into_io(socket).map_err(|err| DriverError::io("the node handed over something that is no connection", &err))
    }

    async fn dial_socket(&self, id: InstanceId, port: u16) -> Result<Option<OwnedFd>, DriverError> {
        self.socket(&Request::Dial { driver: self.name(), id, port }).await.map(Some)
    }

    async fn door(&self, id: InstanceId, port: u16) -> Result<OwnedFd, DriverError> {
        self.socket(&Request::Door { driver: self.name(), id, port }).await
    }
}

#[async_trait]
impl Dial for NodeDriver {
    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        Driver::dial(self, id, port).await
    }
}

/// TCP where the driver has the connection itself, Unix where the node copies for it.
fn into_io(socket: OwnedFd) -> std::io::Result<BoxIo> {
    if rustix::net::sockopt::socket_domain(socket.as_fd())? == AddressFamily::UNIX {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Box::new(UnixStream::from_std(stream)?))
    } else {
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Box::new(TcpStream::from_std(stream)?))
    }
}
