//! An agent kind that is ready when the test says so, and answers every message with `you said: …`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use reef_driver::{
    AgentCredential, AgentError, AgentKind, AgentLink, Dial, Handshake, HandshakeError, LinkState, RenderInput,
    SecretFile, Workload,
};
use reef_types::{
    InstanceId, InstanceSpec,
    chat::{ChatChange, ChatEvent, ChatItem, ChatRole, ChatRun, ChatSession},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{broadcast, watch};

/// The fake. Clones share one world.
#[derive(Debug, Clone)]
pub struct FakeAgent {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ready: watch::Sender<bool>,
    instances: Mutex<HashMap<InstanceId, Arc<Conversations>>>,
}

/// What one instance remembers; like a real agent's own history, it outlives the link.
#[derive(Debug)]
struct Conversations {
    history: Mutex<HashMap<String, Vec<ChatItem>>>,
    sent: Mutex<HashMap<String, String>>,
    events: broadcast::Sender<ChatEvent>,
}

impl FakeAgent {
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { ready: watch::Sender::new(true), instances: Mutex::default() }) }
    }

    /// Whether links are up, from now on.
    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.send_replace(ready);
    }

    /// An event as the agent itself would report it.
    pub fn emit(&self, id: InstanceId, session: &str, change: ChatChange) {
        let _ = self.conversations(id).events.send(ChatEvent { session: session.to_owned(), change });
    }

    /// An item that is in the agent's own history from now on; nobody is told.
    pub fn remember(&self, id: InstanceId, session: &str, item: ChatItem) {
        self.conversations(id).history.lock().entry(session.to_owned()).or_default().push(item);
    }

    /// The agent's own history.
    pub fn history(&self, id: InstanceId, session: &str) -> Vec<ChatItem> {
        self.conversations(id).history.lock().get(session).cloned().unwrap_or_default()
    }

    fn conversations(&self, id: InstanceId) -> Arc<Conversations> {
        let mut instances = self.shared.instances.lock();
        let fresh = || {
            Arc::new(Conversations {
                history: Mutex::default(),
                sent: Mutex::default(),
                events: broadcast::channel(64).0,
            })
        };
        instances.entry(id).or_insert_with(fresh).clone()
    }
}

impl Default for FakeAgent {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl AgentKind for FakeAgent {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn default_version(&self) -> &'static str {
        "1.0.0"
    }

    fn tested_versions(&self) -> &'static [&'static str] {
        &["1.0.0"]
    }

    fn check_version(&self, version: &str) -> Result<(), AgentError> {
        if version == "0.0.1" { Err(AgentError::Invalid("versions below 1.0.0 are too old".into())) } else { Ok(()) }
    }

    fn new_credential(&self) -> AgentCredential {
        AgentCredential(SecretString::from("marker-gateway-token"))
    }

    fn gateway_token(&self, credential: &AgentCredential) -> Option<SecretString> {
        Some(credential.0.clone())
    }

    fn gateway_port(&self) -> u16 {
        18_000
    }

    fn render(&self, input: &RenderInput<'_>) -> Result<Workload, AgentError> {
        let secret = |name: &str, value: &SecretString, start_only| SecretFile {
            name: name.to_owned(),
            value: value.expose_secret().to_owned(),
            start_only,
        };
        Ok(Workload {
            id: input.spec.id,
            name: input.spec.name.clone(),
            generation: input.spec.generation,
            argv: vec!["/bin/true".to_owned()],
            env: BTreeMap::new(),
            cwd: "/".to_owned(),
            versions: Vec::new(),
            files: Vec::new(),
            secrets: vec![
                secret("gateway-token", &input.credential.0, true),
                secret("broker-key", input.broker_key, false),
            ],
            resources: input.spec.resources,
            egress: input.spec.egress,
            doors: [Some(input.broker_port), input.egress_port].into_iter().flatten().collect(),
        })
    }

    fn link(&self, spec: &InstanceSpec, _: &AgentCredential, _: Arc<dyn Dial>) -> Arc<dyn AgentLink> {
        let state = |ready: bool| if ready { LinkState::Ready } else { LinkState::Connecting { last_error: None } };
        let mut ready = self.shared.ready.subscribe();
        let (sender, receiver) = watch::channel(state(*ready.borrow_and_update()));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sender.closed() => break,
                    changed = ready.changed() => match changed {
                        Ok(()) => {
                            sender.send_replace(state(*ready.borrow_and_update()));
                        }
                        Err(_) => break,
                    },
                }
            }
        });
        Arc::new(FakeLink { state: receiver, conversations: self.conversations(spec.id) })
    }

    fn handshake(&self, _: &AgentCredential) -> Box<dyn Handshake> {
        Box::new(PassOn)
    }
}

struct FakeLink {
    state: watch::Receiver<LinkState>,
    conversations: Arc<Conversations>,
}

#[async_trait]
impl AgentLink for FakeLink {
    fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    fn events(&self) -> broadcast::Receiver<ChatEvent> {
        self.conversations.events.subscribe()
    }

    async fn sessions(&self) -> Result<Vec<ChatSession>, AgentError> {
        Ok(vec![ChatSession {
            key: "main".to_owned(),
            title: None,
            model: None,
            updated_at: None,
            input_tokens: 0,
            output_tokens: 0,
        }])
    }

    fn session_key(&self, session: &str) -> String {
        session.to_owned()
    }

    async fn history(&self, session: &str, limit: usize) -> Result<Vec<ChatItem>, AgentError> {
        let history = self.conversations.history.lock().get(session).cloned().unwrap_or_default();
        Ok(history.into_iter().rev().take(limit).rev().collect())
    }

    async fn send(&self, session: &str, text: &str, idempotency_key: &str) -> Result<String, AgentError> {
        if *self.state.borrow() != LinkState::Ready {
            return Err(AgentError::NotConnected);
        }
        if let Some(run) = self.conversations.sent.lock().get(idempotency_key) {
            return Ok(run.clone());
        }
        let run = format!("run-{idempotency_key}");
        self.conversations.sent.lock().insert(idempotency_key.to_owned(), run.clone());
        let item = |id: String, role, text: String| ChatItem { id, role, text, streaming: false, tool: None, at: None };
        let reply = format!("you said: {text}");
        let emit = |change| {
            let _ = self.conversations.events.send(ChatEvent { session: session.to_owned(), change });
        };
        let phase = |phase: &str| ChatChange::Run(ChatRun { id: run.clone(), phase: phase.to_owned(), message: None });
        emit(phase("answering"));
        let live = item(format!("{run}-reply"), ChatRole::Assistant, reply[..4].to_owned());
        emit(ChatChange::Item(ChatItem { streaming: true, ..live }));
        let mut history = self.conversations.history.lock();
        let turn = history.entry(session.to_owned()).or_default();
        turn.push(item(format!("{idempotency_key}:user"), ChatRole::User, text.to_owned()));
        turn.push(item(format!("{run}-reply"), ChatRole::Assistant, reply));
        drop(history);
        emit(phase("done"));
        emit(ChatChange::Reload);
        Ok(run)
    }

    async fn abort(&self, _: &str) -> Result<(), AgentError> {
        Ok(())
    }

    async fn is_busy(&self) -> Result<bool, AgentError> {
        Ok(false)
    }
}

struct PassOn;

impl Handshake for PassOn {
    fn on_challenge(&mut self, text: &str) -> Result<String, HandshakeError> {
        Ok(text.to_owned())
    }

    fn on_connect(&mut self, text: &str) -> Result<String, HandshakeError> {
        Ok(text.to_owned())
    }

    fn on_answer(&mut self, text: &str) -> Result<String, HandshakeError> {
        Ok(text.to_owned())
    }
}
