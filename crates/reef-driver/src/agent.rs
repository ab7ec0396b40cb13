//! What the hub needs to know of an agent kind, and nothing that only one kind has.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use reef_types::{
    InstanceSpec,
    chat::{ChatEvent, ChatItem, ChatSession},
};
use secrecy::SecretString;
use tokio::sync::{broadcast, watch};

use crate::{Dial, Workload};

/// The secret by which the hub proves itself to one instance: made once, kept in the vault, opaque to all but its kind.
#[derive(Clone)]
pub struct AgentCredential(pub SecretString);

impl fmt::Debug for AgentCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentCredential(…)")
    }
}

/// A model that the hub's broker offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Id as the broker knows it: `echo/echo-1`.
    pub id: String,
    pub name: String,
    pub dialect: Dialect,
    pub context_tokens: u64,
    pub output_tokens_max: u64,
}

/// Which wire protocol the broker speaks for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAiChat,
    AnthropicMessages,
}

/// What a workload is rendered from.
#[derive(Debug)]
pub struct RenderInput<'a> {
    pub spec: &'a InstanceSpec,
    pub credential: &'a AgentCredential,
    /// Port of the model broker on the instance's loopback.
    pub broker_port: u16,
    /// The instance's virtual key for the broker.
    pub broker_key: &'a SecretString,
    pub models: &'a [ModelInfo],
    /// Port of the egress proxy on the instance's loopback, when egress is not closed.
    pub egress_port: Option<u16>,
}

/// Why an agent did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    #[error("the agent is not connected")]
    NotConnected,
    #[error("the agent did not answer in time")]
    Timeout,
    /// The agent's own refusal, cleaned of secrets.
    #[error("the agent refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Invalid(String),
}

/// One kind of agent.
#[async_trait]
pub trait AgentKind: Send + Sync {
    /// The name in `spec.agent.kind`.
    fn kind(&self) -> &'static str;

    /// The version that a new instance gets when none is named.
    fn default_version(&self) -> &'static str;

    /// Versions that were tested with this build, newest first.
    fn tested_versions(&self) -> &'static [&'static str];

    /// # Errors
    /// `Invalid` with the reason when the version is not of the right form or too old.
    fn check_version(&self, version: &str) -> Result<(), AgentError>;

    /// A fresh credential from the system's random source.
    fn new_credential(&self) -> AgentCredential;

    /// The token by which the gateway itself can be used, for owners who ask for it; none when this kind has no such thing.
    fn gateway_token(&self, _credential: &AgentCredential) -> Option<SecretString> {
        None
    }

    /// The gateway port on the instance's loopback.
    fn gateway_port(&self) -> u16;

    /// Turns wishes into what a driver runs. Pure: same input, same output.
    fn render(&self, input: &RenderInput<'_>) -> Result<Workload, AgentError>;

    /// Starts the supervising connection. It keeps itself alive, with back-off, until the link is dropped.
    fn link(&self, spec: &InstanceSpec, credential: &AgentCredential, dial: Arc<dyn Dial>) -> Arc<dyn AgentLink>;

    /// The authentication that is put into a person's own connection to the gateway.
    fn handshake(&self, credential: &AgentCredential) -> Box<dyn Handshake>;
}

/// How the supervising connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not connected yet, or trying again.
    Connecting {
        /// Why the last try failed, for people.
        last_error: Option<String>,
    },
    /// Connected, authenticated, and the agent says it is ready.
    Ready,
}

/// The hub's supervising connection to one running agent.
#[async_trait]
pub trait AgentLink: Send + Sync {
    fn state(&self) -> watch::Receiver<LinkState>;

    /// Everything that happens in any session. Lagging receivers must reload.
    fn events(&self) -> broadcast::Receiver<ChatEvent>;

    async fn sessions(&self) -> Result<Vec<ChatSession>, AgentError>;

    /// The agent's own key for what a person calls a session (`main`).
    fn session_key(&self, session: &str) -> String;

    /// Oldest first, at most `limit` newest items.
    async fn history(&self, session: &str, limit: usize) -> Result<Vec<ChatItem>, AgentError>;

    /// Sends a message; the same `idempotency_key` never runs twice. Returns the id of the turn. The message's own item has
    /// the id `<idempotency_key>:user`, live and in history, so that the hub can show it before the agent reports it.
    async fn send(&self, session: &str, text: &str, idempotency_key: &str) -> Result<String, AgentError>;

    async fn abort(&self, session: &str) -> Result<(), AgentError>;

    /// Whether stopping now would cut off work.
    async fn is_busy(&self) -> Result<bool, AgentError>;
}

/// Why a person's connection was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HandshakeError {
    /// WebSocket close code for the client.
    pub close_code: u16,
    pub message: String,
}

/// Rewrites the first three messages of a gateway connection: challenge, the client's `connect`, and the answer. After
/// that only bytes are copied. Sans IO: the forwarder reads and writes.
pub trait Handshake: Send {
    /// The gateway's first message; returns what the client is to see.
    ///
    /// # Errors
    /// When it is not a challenge of a known protocol.
    fn on_challenge(&mut self, text: &str) -> Result<String, HandshakeError>;

    /// The client's first message; returns what the gateway is to see, with the hub's authentication in it.
    ///
    /// # Errors
    /// When it is not a connect request.
    fn on_connect(&mut self, text: &str) -> Result<String, HandshakeError>;

    /// The gateway's answer; returns what the client is to see, with every credential taken out.
    ///
    /// # Errors
    /// When it is not an answer at all.
    fn on_answer(&mut self, text: &str) -> Result<String, HandshakeError>;
}
