//! The hub's copy of the conversations that somebody is looking at: a snapshot and the changes after it.
//!
//! The agent's history is the truth. Live events only fill the gap until history holds them; whenever the agent says
//! that history moved on, the snapshot is read again and sent whole, so that a doubled or lost event heals by itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
};

use parking_lot::Mutex;
use reef_driver::{AgentError, AgentLink};
use reef_types::chat::{ChatChange, ChatEvent, ChatItem, ChatRole, ChatRun};
use serde::Serialize;
use tokio::sync::broadcast;

/// Items of one conversation that a snapshot holds; older ones stay in the agent's history.
const ITEMS_MAX: usize = 500;
/// Conversations kept per instance; the least recently used one without a listener goes first.
const SESSIONS_MAX: usize = 64;
/// Changes that a slow listener may be behind before it gets a fresh snapshot.
const LAG_CHANGES_MAX: usize = 256;

/// One message of the stream `…/chat/{session}/stream`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    #[serde(skip)]
    pub(crate) seq: u64,
    pub(crate) cursor: String,
    pub(crate) items: Vec<ChatItem>,
    pub(crate) run: Option<ChatRun>,
}

/// What changed since the cursor before.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Patch {
    #[serde(skip)]
    pub(crate) seq: u64,
    pub(crate) cursor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<ChatItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<ChatRun>,
}

/// What listeners of a conversation are told.
#[derive(Debug, Clone)]
pub(crate) enum Update {
    Patch(Arc<Patch>),
    /// Take a snapshot again.
    Reset,
}

struct Session {
    items: Vec<ChatItem>,
    run: Option<ChatRun>,
    /// Ids of messages that were sent and are not in history yet.
    pending: HashSet<String>,
    /// False until history was read once, and after it is known to be out of date.
    loaded: bool,
    /// Counts the events that made the copy stale, so that a history read across one of them is not taken for good.
    reloads: u64,
    seq: u64,
    used: u64,
    sender: broadcast::Sender<Update>,
}

/// The conversations of one instance.
pub(crate) struct Conversations {
    epoch: String,
    clock: AtomicU64,
    sessions: Mutex<HashMap<String, Session>>,
}

impl Conversations {
    pub(crate) fn new(epoch: String) -> Self {
        Self { epoch, clock: AtomicU64::new(0), sessions: Mutex::new(HashMap::new()) }
    }

    /// Starts listening to a conversation. Call [`Conversations::snapshot`] next: what happens in between is on the channel
    /// and in the snapshot too; its `seq` tells.
    pub(crate) fn subscribe(&self, key: &str) -> broadcast::Receiver<Update> {
        let mut sessions = self.sessions.lock();
        self.session(&mut sessions, key).sender.subscribe()
    }

    /// The conversation as it is; reads the agent's history when the hub has none that is good.
    pub(crate) async fn snapshot(&self, link: &dyn AgentLink, key: &str) -> Result<Snapshot, AgentError> {
        if let Some(snapshot) = self.loaded(key) {
            return Ok(snapshot);
        }
        let reloads = {
            let mut sessions = self.sessions.lock();
            self.session(&mut sessions, key).reloads
        };
        let history = link.history(key, ITEMS_MAX).await?;
        let mut sessions = self.sessions.lock();
        let session = self.session(&mut sessions, key);
        let active = session.run.as_ref().is_some_and(|run| !run.is_settled());
        session.items = merge(history, &session.items, &session.pending, active);
        session.pending.retain(|id| session.items.iter().any(|item| item.id == *id));
        session.loaded = session.reloads == reloads;
        session.seq += 1;
        Ok(render(&self.epoch, session))
    }

    fn loaded(&self, key: &str) -> Option<Snapshot> {
        let mut sessions = self.sessions.lock();
        let session = self.session(&mut sessions, key);
        session.loaded.then(|| render(&self.epoch, session))
    }

    /// Takes in what the agent reports. Conversations that nobody looks at are not kept.
    pub(crate) fn apply(&self, event: ChatEvent) {
        let mut sessions = self.sessions.lock();
        let Some(session) = sessions.get_mut(&event.session) else { return };
        session.seq += 1;
        let seq = session.seq;
        let cursor = format!("{}-{seq}", self.epoch);
        let update = match event.change {
            ChatChange::Item(item) => {
                upsert(&mut session.items, item.clone());
                Update::Patch(Arc::new(Patch { seq, cursor, item: Some(item), run: None }))
            }
            ChatChange::Run(run) => {
                session.run = Some(run.clone());
                Update::Patch(Arc::new(Patch { seq, cursor, item: None, run: Some(run) }))
            }
            ChatChange::Reload => {
                session.loaded = false;
                session.reloads += 1;
                Update::Reset
            }
        };
        let _ = session.sender.send(update);
    }

    /// Everything may have been missed (the link was away, or events overran).
    pub(crate) fn invalidate(&self) {
        for session in self.sessions.lock().values_mut() {
            session.loaded = false;
            session.reloads += 1;
            session.run = None;
            let _ = session.sender.send(Update::Reset);
        }
    }

    /// Shows a person's message at once; history takes its place when it holds it. A message that is sent again, because
    /// its sender did not hear of the first time, is not shown again.
    pub(crate) fn sent(&self, key: &str, idempotency_key: &str, text: &str, at: jiff::Timestamp) {
        let id = user_item(idempotency_key);
        let item = ChatItem {
            id: id.clone(),
            role: ChatRole::User,
            text: text.to_owned(),
            streaming: false,
            tool: None,
            at: Some(at),
        };
        let mut sessions = self.sessions.lock();
        let session = self.session(&mut sessions, key);
        if session.items.iter().any(|item| item.id == id) {
            return;
        }
        session.pending.insert(id);
        drop(sessions);
        self.apply(ChatEvent { session: key.to_owned(), change: ChatChange::Item(item) });
    }

    /// Takes a message back that the agent did not take.
    pub(crate) fn retract(&self, key: &str, idempotency_key: &str) {
        let id = user_item(idempotency_key);
        if let Some(session) = self.sessions.lock().get_mut(key) {
            if !session.pending.remove(&id) {
                return;
            }
            session.items.retain(|item| item.id != id);
            session.loaded = false;
            session.reloads += 1;
            let _ = session.sender.send(Update::Reset);
        }
    }

    fn session<'a>(&self, sessions: &'a mut HashMap<String, Session>, key: &str) -> &'a mut Session {
        if !sessions.contains_key(key) && sessions.len() >= SESSIONS_MAX {
            let idle = sessions.iter().filter(|(_, s)| s.sender.receiver_count() == 0).min_by_key(|(_, s)| s.used);
            if let Some(key) = idle.map(|(key, _)| key.clone()) {
                sessions.remove(&key);
            }
        }
        let session = sessions.entry(key.to_owned()).or_insert_with(|| Session {
            items: Vec::new(),
            run: None,
            pending: HashSet::new(),
            loaded: false,
            reloads: 0,
            seq: 0,
            used: 0,
            sender: broadcast::channel(LAG_CHANGES_MAX).0,
        });
        session.used = self.clock.fetch_add(1, Ordering::Relaxed);
        session
    }
}

/// The id that a sent message has in history too, by the contract of [`AgentLink::send`].
fn user_item(idempotency_key: &str) -> String {
    format!("{idempotency_key}:user")
}

fn render(epoch: &str, session: &Session) -> Snapshot {
    Snapshot {
        seq: session.seq,
        cursor: format!("{epoch}-{}", session.seq),
        items: session.items.clone(),
        run: session.run.clone(),
    }
}

fn upsert(items: &mut Vec<ChatItem>, item: ChatItem) {
    match items.iter_mut().rev().find(|old| old.id == item.id) {
        Some(old) => *old = item,
        None => {
            items.push(item);
            if items.len() > ITEMS_MAX {
                items.remove(0);
            }
        }
    }
}

/// History, plus what only the hub knows yet: unfinished items of a turn that goes on, and messages that were sent but are
/// not in history.
fn merge(mut history: Vec<ChatItem>, live: &[ChatItem], pending: &HashSet<String>, active: bool) -> Vec<ChatItem> {
    for item in live {
        let known = history.iter().any(|old| old.id == item.id);
        if !known && (pending.contains(&item.id) || active && item.streaming) {
            history.push(item.clone());
        }
    }
    let excess = history.len().saturating_sub(ITEMS_MAX);
    history.drain(..excess);
    history
}

#[cfg(test)]
mod tests;
