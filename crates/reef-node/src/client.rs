//! The hub's end: every call is a connection of its own, so that there is nothing to keep alive and nothing to repair
//! when the node restarts.

mod driver;
mod versions;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{Stream, stream};
use reef_driver::{Driver, DriverError, Reason};
use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    time::{sleep, timeout},
};

pub use self::driver::NodeDriver;
use crate::{
    peer::TrustedUids,
    wire::{self, Answer, Hello, NodeHello, Request, frame, frame::FrameError},
};

/// The node as the hub sees it. Cheap to clone; opens nothing until it is used.
#[derive(Debug, Clone)]
pub struct NodeClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    trusted: TrustedUids,
}

impl NodeClient {
    /// A client of the node that listens at `socket` and runs as root or as this process's own user.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let inner = Inner { socket: socket.into(), trusted: TrustedUids::with(&[]) };
        Self { inner: Arc::new(inner) }
    }

    /// One of the node's drivers, by the name that the node knows it by.
    pub fn driver(&self, kind: &'static str) -> Arc<dyn Driver> {
        Arc::new(NodeDriver::new(self.clone(), kind))
    }

    /// Who the node is and which drivers it has.
    ///
    /// # Errors
    /// `Unavailable` when it is away or of another build, `Permission` when one of the two does not trust the other.
    pub async fn hello(&self) -> Result<NodeHello, DriverError> {
        let greeting = async {
            let mut stream = self.connect().await?;
            let sent = frame::write(&mut stream, &Hello::ours()).await;
            self.greeted(&mut stream, sent).await
        };
        timeout(wire::GREETING_TIME_MAX, greeting).await.unwrap_or_else(|_| Err(self.slow("greet")))
    }

    /// One answer to one request, within the verb's time limit.
    async fn call(&self, request: &Request) -> Result<Answer, DriverError> {
        self.open(request).await.map(|(answer, _)| answer)
    }

    /// The first answer to a request, and the connection for what follows it.
    async fn open(&self, request: &Request) -> Result<(Answer, UnixStream), DriverError> {
        let exchange = async {
            let mut stream = self.connect().await?;
            // Both at once: the greeting costs no round trip.
            let mut frames = frame::encode(&Hello::ours()).map_err(|err| refused(&err))?;
            frames.extend(frame::encode(request).map_err(|err| refused(&err))?);
            let sent = stream.write_all(&frames).await.map_err(FrameError::Io);
            self.greeted(&mut stream, sent).await?;
            match self.next(&mut stream).await? {
                Answer::Failed { error } => Err(error),
                answer => Ok((answer, stream)),
            }
        };
        timeout(request.time_limit(), exchange).await.unwrap_or_else(|_| Err(self.slow(request.verb())))
    }

    /// Sets up a stream: the node answers that it listens, then come the items.
    async fn subscribe(&self, request: &Request) -> Result<UnixStream, DriverError> {
        match self.open(request).await? {
            (Answer::Done {}, stream) => Ok(stream),
            _ => Err(unexpected(request.verb())),
        }
    }

    async fn connect(&self) -> Result<UnixStream, DriverError> {
        let stream = loop {
            match UnixStream::connect(&self.inner.socket).await {
                Ok(stream) => break stream,
                // The backlog is full for the moment (unix(7)); the caller's time limit ends this.
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => sleep(BACKLOG_RETRY_AFTER).await,
                Err(err) => return Err(self.away(&err)),
            }
        };
        self.inner.trusted.check(&stream).map_err(|stranger| {
            let message = format!(
                "{} belongs to {stranger}, not to the node: check who made that socket",
                self.inner.socket.display()
            );
            DriverError::new(Reason::Permission, message)
        })?;
        Ok(stream)
    }

    /// Reads the node's greeting. When it turned us away, that says more than a failed write (`sent`).
    async fn greeted(&self, stream: &mut UnixStream, sent: Result<(), FrameError>) -> Result<NodeHello, DriverError> {
        let hello = match frame::read::<NodeHello>(stream).await {
            Ok(Some(hello)) => hello,
            Ok(None) => return Err(self.cut()),
            Err(err) => return Err(self.broken(&err)),
        };
        if let Some(refusal) = hello.refusal {
            return Err(refusal);
        }
        if hello.protocol != wire::PROTOCOL {
            let message = format!(
                "this hub and node {} do not understand each other (protocol {} and {}): restart both from one build",
                hello.build,
                wire::PROTOCOL,
                hello.protocol
            );
            return Err(DriverError::new(Reason::Unavailable, message));
        }
        sent.map_err(|err| self.broken(&err))?;
        Ok(hello)
    }

    async fn next(&self, stream: &mut UnixStream) -> Result<Answer, DriverError> {
        match frame::read(stream).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.cut()),
            Err(err) => Err(self.broken(&err)),
        }
    }

    /// The answers of a stream. Ends at `End`, or after an error.
    fn items(&self, request: Request) -> impl Stream<Item = Result<Answer, DriverError>> + Send + use<> {
        enum State {
            Closed(Box<Request>),
            Open(UnixStream),
            Over,
        }
        let client = self.clone();
        stream::unfold(State::Closed(Box::new(request)), move |state| {
            let client = client.clone();
            async move {
                let opened = match state {
                    State::Closed(request) => client.subscribe(&request).await,
                    State::Open(stream) => Ok(stream),
                    State::Over => return None,
                };
                let mut stream = match opened {
                    Ok(stream) => stream,
                    Err(error) => return Some((Err(error), State::Over)),
                };
                match client.next(&mut stream).await {
                    Ok(Answer::End {}) => None,
                    Ok(Answer::Failed { error }) => Some((Err(error), State::Over)),
                    Ok(answer) => Some((Ok(answer), State::Open(stream))),
                    Err(error) => Some((Err(error), State::Over)),
                }
            }
        })
    }

    fn socket(&self) -> &Path {
        &self.inner.socket
    }

    fn away(&self, err: &io::Error) -> DriverError {
        let socket = self.socket().display();
        match err.kind() {
            io::ErrorKind::PermissionDenied => DriverError::new(
                Reason::Permission,
                format!("this user may not use the node at {socket}: run the hub as the node's user"),
            ),
            _ => DriverError::new(
                Reason::Unavailable,
                format!(
                    "the node does not answer at {socket} ({err}): start it with `reef node`, or `reef up` for all"
                ),
            ),
        }
    }

    fn cut(&self) -> DriverError {
        let message =
            format!("the node at {} closed the connection: it is restarting, try again", self.socket().display());
        DriverError::new(Reason::Unavailable, message)
    }

    fn broken(&self, err: &FrameError) -> DriverError {
        DriverError::new(Reason::Unavailable, format!("the node at {}: {err}", self.socket().display()))
    }

    fn slow(&self, verb: &str) -> DriverError {
        let message =
            format!("the node at {} did not answer `{verb}` in time; it goes on being asked", self.socket().display());
        DriverError::new(Reason::Timeout, message)
    }
}

const BACKLOG_RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(20);

/// Our own request cannot be sent; the node has nothing to do with it.
fn refused(err: &FrameError) -> DriverError {
    DriverError::new(Reason::Invalid, err.to_string())
}

/// The node broke the protocol.
fn unexpected(verb: &str) -> DriverError {
    DriverError::new(Reason::Internal, format!("the node answered `{verb}` with something else"))
}
