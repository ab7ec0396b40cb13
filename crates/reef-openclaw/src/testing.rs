//! A gateway for tests: speaks the protocol as the real one was seen to, checks every proof, and misbehaves on demand.
//!
//! What a message makes it do:
//!
//! | message begins with | the turn |
//! |---|---|
//! | `hold` | says the first words and goes on after [`FakeGateway::release`] |
//! | `fail` | fails; the row with the reason comes after the event |
//! | `retry` | breaks off, and answers from the beginning in another attempt |
//! | `long:<n>` | answers with `n` words; pages and events have the first 8,000 characters of it |
//! | `tool` | says something, calls a tool, answers with its result |
//! | anything else | answers `Echo: <message>` |
//!
//! The history of a session whose key ends in `gone` is refused, with the token in the message.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use reef_driver::{AgentCredential, BoxIo, Dial, DriverError, Reason};
use reef_types::InstanceId;
use secrecy::SecretString;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    task::AbortHandle,
};

use crate::credential::{Credential, CredentialError};

mod connection;
mod turn;

/// How the gateway behaves towards new connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behaviour {
    #[default]
    Good,
    /// Nothing listens on the port.
    Away,
    /// Connections are taken and nothing is ever said.
    Hanging,
    /// Connections work, `/readyz` stays 503.
    NeverReady,
    /// `connect` is answered `UNAVAILABLE` with this delay.
    Starting { retry_after_ms: u64 },
    /// `connect` with the shared token is answered `AUTH_RATE_LIMITED` with this delay; device tokens work.
    RateLimited { retry_after_ms: u64 },
    /// Every connect is refused as `AUTH_TOKEN_MISMATCH`.
    Locked,
    /// The handshake works and grants no scopes.
    Powerless,
    /// Another protocol version.
    Foreign,
    /// After the handshake comes what is no frame.
    Garbage,
    /// After the handshake comes nothing, no ticks either.
    Silent,
    /// Requests other than the link's bring-up are never answered. Holds for open connections too.
    Deaf,
    /// Every request is answered `UNAVAILABLE`, as during a suspension. Holds for open connections too.
    Suspended,
}

/// Length of the pipe of an in-memory connection, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// Frames that a connection may lag behind.
const FRAMES_MAX: usize = 1024;

/// What goes to the connections.
#[derive(Debug, Clone)]
enum Out {
    Event { name: &'static str, payload: Value },
    Close { code: u16, reason: &'static str },
}

#[derive(Debug)]
struct Inner {
    token: SecretString,
    /// Time between two ticks.
    tick: Duration,
    behaviour: Mutex<Behaviour>,
    attempts: AtomicUsize,
    device_tokens: Mutex<HashSet<String>>,
    out: broadcast::Sender<Out>,
    releases: watch::Sender<usize>,
    sessions: Mutex<HashMap<String, turn::Session>>,
    sent: Mutex<HashMap<String, String>>,
}

/// A gateway that runs within the test. Clones are the same gateway.
#[derive(Debug, Clone)]
pub struct FakeGateway {
    inner: Arc<Inner>,
}

impl FakeGateway {
    /// A gateway that accepts this credential.
    ///
    /// # Errors
    /// When the credential is not one that [`crate::OpenClaw`] made.
    pub fn new(credential: &AgentCredential) -> Result<Self, CredentialError> {
        Ok(Self::with_token(Credential::parse(credential)?.token().clone(), TICK))
    }

    /// A gateway that accepts this shared token, and ticks as rarely as it is told to.
    pub fn with_token(token: SecretString, tick: Duration) -> Self {
        let inner = Inner {
            token,
            tick,
            behaviour: Mutex::default(),
            attempts: AtomicUsize::new(0),
            device_tokens: Mutex::default(),
            out: broadcast::Sender::new(FRAMES_MAX),
            releases: watch::Sender::new(0),
            sessions: Mutex::default(),
            sent: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Changes how new connections are treated. Open ones stay as they are, where not said otherwise.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.inner.behaviour.lock() = behaviour;
    }

    /// How many connections were tried, those for `/readyz` not counted.
    pub fn attempts(&self) -> usize {
        self.inner.attempts.load(Ordering::SeqCst)
    }

    /// Closes every connection as a restart does, and forgets which keys were sent, as the real one does. Turns go on, as
    /// they do over a loss of the connection.
    pub fn restart(&self) {
        self.inner.sent.lock().clear();
        let payload = serde_json::json!({"reason": "restart"});
        self.inner.send(Out::Event { name: "shutdown", payload });
        self.inner.send(Out::Close { code: 1012, reason: "service restart" });
    }

    /// Loses every connection and every turn, as when its process dies. Like the real one, it takes the turns up again a
    /// little later, as runs of their own.
    pub fn crash(&self) {
        self.inner.sent.lock().clear();
        self.inner.take_up();
        self.inner.send(Out::Close { code: 1012, reason: "service restart" });
    }

    /// Closes every connection with a code.
    pub fn close_all(&self, code: u16) {
        self.inner.send(Out::Close { code, reason: "closed by the test" });
    }

    /// Forgets every device token that was issued.
    pub fn forget_devices(&self) {
        self.inner.device_tokens.lock().clear();
    }

    /// Lets turns that hold go on.
    pub fn release(&self) {
        self.inner.releases.send_modify(|count| *count += 1);
    }

    /// A message arrives from another client.
    pub fn say_elsewhere(&self, session: &str, text: &str) {
        self.inner.say_elsewhere(session, text);
    }

    /// Opens connections to this gateway, whatever the instance and port.
    pub fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(self.clone())
    }

    /// One more connection, in memory.
    ///
    /// # Errors
    /// `Unavailable` while it is [`Behaviour::Away`].
    pub fn connect(&self) -> Result<BoxIo, DriverError> {
        if *self.inner.behaviour.lock() == Behaviour::Away {
            self.inner.attempts.fetch_add(1, Ordering::SeqCst);
            return Err(DriverError::new(Reason::Unavailable, "connection refused"));
        }
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(connection::serve(self.inner.clone(), ours));
        Ok(Box::new(theirs))
    }

    /// Listens on a loopback port too, until the guard is dropped.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn listen(&self) -> std::io::Result<Listening> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection::serve(inner.clone(), stream));
            }
        });
        Ok(Listening { address, task: task.abort_handle() })
    }
}

#[async_trait]
impl Dial for FakeGateway {
    async fn dial(&self, _id: InstanceId, _port: u16) -> Result<BoxIo, DriverError> {
        self.connect()
    }
}

/// A listening port; closed on drop.
#[derive(Debug)]
pub struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    fn send(&self, out: Out) {
        // No connection, nobody to tell.
        let _ = self.out.send(out);
    }

    fn behaviour(&self) -> Behaviour {
        *self.behaviour.lock()
    }
}

/// Time between two ticks: short, so that tests of silence are.
const TICK: Duration = Duration::from_secs(1);
