//! The hub's supervising connection to one gateway: kept alive, and the source of sessions, history and live events.
//!
//! It reads and steers conversations. It never decides whether the gateway should run.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use reef_driver::{AgentCredential, AgentError, AgentLink, Dial, LinkState};
use reef_types::{
    InstanceId,
    chat::{ChatEvent, ChatItem, ChatSession},
};
use tokio::{
    sync::{broadcast, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::{
    chat::{live::Tracker, rows, sessions},
    credential::Credential,
    gateway::{
        methods::{HISTORY_ROWS_MAX, HistoryPage},
        rpc::Rpc,
    },
};

mod backoff;
mod supervise;
mod whole;

pub use crate::gateway::methods::Suspension;

/// Events that a receiver may lag behind. Each may hold all of an answer's text.
const EVENTS_MAX: usize = 256;

/// How long a send waits for a connection that is just coming back.
const RECONNECT_GRACE: Duration = Duration::from_secs(3);

/// Rows read beyond the items asked for: one row is not always one item, and the start of a turn should be on the page.
const ROWS_MARGIN: usize = 50;

/// Rows looked through for a message that was sent before.
const RESEND_ROWS: usize = 100;

/// What the supervising task and the callers share.
#[derive(Debug)]
struct Shared {
    id: InstanceId,
    state: watch::Sender<LinkState>,
    events: broadcast::Sender<ChatEvent>,
    connection: RwLock<Option<Rpc>>,
    names: RwLock<Names>,
    tracker: Mutex<Tracker>,
    remembered: Mutex<whole::Remembered>,
}

/// What the gateway calls its defaults.
#[derive(Debug, Default)]
struct Names {
    agent: Option<String>,
    main_session: Option<String>,
}

/// The supervising connection. Dropping it ends the connection.
#[derive(Debug)]
pub struct GatewayLink {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl GatewayLink {
    /// Starts connecting to instance `id`. Must be called within a tokio runtime.
    pub fn start(id: InstanceId, credential: &AgentCredential, dial: Arc<dyn Dial>) -> Self {
        let shared = Arc::new(Shared {
            id,
            state: watch::Sender::new(LinkState::Connecting { last_error: None }),
            events: broadcast::Sender::new(EVENTS_MAX),
            connection: RwLock::new(None),
            names: RwLock::default(),
            tracker: Mutex::default(),
            remembered: Mutex::default(),
        });
        let work = supervise::run(shared.clone(), Credential::parse(credential), dial);
        Self { shared, task: tokio::spawn(work).abort_handle() }
    }

    /// The gateway's own report on its health.
    ///
    /// # Errors
    /// When it is not connected or does not answer.
    pub async fn health(&self) -> Result<serde_json::Value, AgentError> {
        self.shared.rpc()?.health().await
    }

    /// Asks the gateway to stand still, for freezing or copying it. It does so for two minutes at most.
    ///
    /// # Errors
    /// When it is not connected or does not answer.
    pub async fn suspend(&self, request_id: &str) -> Result<Suspension, AgentError> {
        self.shared.rpc()?.suspend_prepare(request_id).await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// When it is not connected, or there is no such suspension.
    pub async fn resume(&self, suspension_id: &str) -> Result<(), AgentError> {
        self.shared.rpc()?.suspend_resume(suspension_id).await
    }
}

impl Drop for GatewayLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn rpc(&self) -> Result<Rpc, AgentError> {
        self.connection.read().clone().ok_or(AgentError::NotConnected)
    }

    fn publish(&self, events: Vec<ChatEvent>) {
        for event in events {
            // Nobody listens: then nobody has to be told.
            let _ = self.events.send(event);
        }
    }

    fn session_key(&self, session: &str) -> String {
        let names = self.names.read();
        sessions::key(session, names.agent.as_deref(), names.main_session.as_deref())
    }

    async fn history_page(&self, rpc: &Rpc, session: &str, items: usize) -> Result<HistoryPage, AgentError> {
        let mut page = rpc.chat_history(session, items.saturating_add(ROWS_MARGIN).min(HISTORY_ROWS_MAX)).await?;
        whole::complete(self, rpc, session, &mut page).await?;
        Ok(page)
    }
}

#[async_trait]
impl AgentLink for GatewayLink {
    fn state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<ChatEvent> {
        self.shared.events.subscribe()
    }

    async fn sessions(&self) -> Result<Vec<ChatSession>, AgentError> {
        let rows = self.shared.rpc()?.sessions_list().await?;
        Ok(rows.into_iter().map(ChatSession::from).collect())
    }

    fn session_key(&self, session: &str) -> String {
        self.shared.session_key(session)
    }

    async fn history(&self, session: &str, limit: usize) -> Result<Vec<ChatItem>, AgentError> {
        let key = self.shared.session_key(session);
        let page = self.shared.history_page(&self.shared.rpc()?, &key, limit).await?;
        let (mut items, events) = self.shared.tracker.lock().on_history(&key, &page, Instant::now());
        self.shared.publish(events);
        items.drain(..items.len().saturating_sub(limit));
        Ok(items)
    }

    async fn send(&self, session: &str, text: &str, idempotency_key: &str) -> Result<String, AgentError> {
        let rpc = supervise::connection(&self.shared, RECONNECT_GRACE).await?;
        let key = self.shared.session_key(session);
        // The gateway itself remembers keys only until it restarts.
        let page = rpc.chat_history(&key, RESEND_ROWS).await?;
        if rows::has_send(&page.messages, idempotency_key) {
            return Ok(idempotency_key.to_owned());
        }
        let run = rpc.chat_send(&key, text, idempotency_key).await?;
        let events = self.shared.tracker.lock().on_sent(&key, &run, Instant::now());
        self.shared.publish(events);
        Ok(run)
    }

    async fn abort(&self, session: &str) -> Result<(), AgentError> {
        let key = self.shared.session_key(session);
        self.shared.rpc()?.chat_abort(&key).await
    }

    async fn is_busy(&self) -> Result<bool, AgentError> {
        self.shared.rpc()?.restart_is_safe().await.map(|safe| !safe)
    }
}
