//! What the hub keeps in memory for each instance that runs: the link to its agent, its doors, its conversations.
//!
//! All of it can be made again from the store and the driver: a restarted hub starts with an empty map.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use reef_driver::{AgentLink, BoxIo, Dial, Driver, DriverError, Reason};
use reef_types::InstanceId;
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use crate::chat::Conversations;

/// One running instance, tied to one process of it.
pub(crate) struct Running {
    /// Process id that link and doors belong to; another one means that all of this is out of date.
    pub(crate) pid: u32,
    pub(crate) link: Arc<dyn AgentLink>,
    pub(crate) linked_at: Instant,
    /// Since when the link has been down, once it had been up.
    pub(crate) lost_at: Option<Instant>,
    pub(crate) secrets_sealed: bool,
    /// Keep the broker and the egress proxy serving this instance.
    pub(crate) doors: Vec<crate::tasks::door::DoorGuard>,
    /// Ends the task that turns link events into nudges and chat changes.
    pub(crate) _watcher: AbortOnDrop,
}

/// Aborts a task when dropped.
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// In-memory state of one instance.
pub(crate) struct Entry {
    pub(crate) nudge: Arc<Notify>,
    pub(crate) driver: Option<Arc<dyn Driver>>,
    pub(crate) chats: Arc<Conversations>,
    pub(crate) running: Option<Running>,
    /// When a crashed instance is started again; none when its last exit was not looked at yet.
    pub(crate) retry_at: Option<Instant>,
}

/// The map of entries.
pub(crate) struct Runtimes {
    epoch: String,
    entries: Mutex<HashMap<InstanceId, Entry>>,
}

impl Runtimes {
    pub(crate) fn new(epoch: String) -> Self {
        Self { epoch, entries: Mutex::new(HashMap::new()) }
    }

    /// Makes the entry of an instance; true when it was not there.
    pub(crate) fn add(&self, id: InstanceId, driver: Option<Arc<dyn Driver>>) -> bool {
        let mut entries = self.entries.lock();
        if entries.contains_key(&id) {
            return false;
        }
        let entry = Entry {
            nudge: Arc::new(Notify::new()),
            driver,
            chats: Arc::new(Conversations::new(self.epoch.clone())),
            running: None,
            retry_at: None,
        };
        entries.insert(id, entry);
        true
    }

    pub(crate) fn remove(&self, id: InstanceId) {
        // Dropped outside the lock: it ends tasks and closes sockets.
        let entry = self.entries.lock().remove(&id);
        drop(entry);
    }

    /// Reads or changes one entry.
    pub(crate) fn with<T>(&self, id: InstanceId, f: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.entries.lock().get_mut(&id).map(f)
    }

    /// Makes the reconciler of one instance look again.
    pub(crate) fn nudge(&self, id: InstanceId) {
        if let Some(entry) = self.entries.lock().get(&id) {
            entry.nudge.notify_one();
        }
    }

    pub(crate) fn nudge_all(&self) {
        for entry in self.entries.lock().values() {
            entry.nudge.notify_one();
        }
    }

    /// The link to a running agent.
    pub(crate) fn link(&self, id: InstanceId) -> Option<Arc<dyn AgentLink>> {
        self.entries.lock().get(&id)?.running.as_ref().map(|running| running.link.clone())
    }

    pub(crate) fn chats(&self, id: InstanceId) -> Option<Arc<Conversations>> {
        self.entries.lock().get(&id).map(|entry| entry.chats.clone())
    }

    /// Lets go of link and doors; the instance itself is not touched.
    pub(crate) fn unlink(&self, id: InstanceId) {
        let gone = self
            .entries
            .lock()
            .get_mut(&id)
            .and_then(|entry| entry.running.take().map(|running| (running, entry.chats.clone())));
        if let Some((running, chats)) = gone {
            drop(running);
            // Whoever looks at a conversation learns that the agent is away.
            chats.invalidate();
        }
    }

    /// All doors of all instances, for the end of the hub.
    pub(crate) fn take_doors(&self) -> Vec<crate::tasks::door::DoorGuard> {
        let mut entries = self.entries.lock();
        entries.values_mut().filter_map(|entry| entry.running.as_mut()).flat_map(|r| r.doors.drain(..)).collect()
    }

    /// Lets go of everything, at the end of the hub.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.lock());
        drop(entries);
    }
}

#[async_trait]
impl Dial for Runtimes {
    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        let driver = self.with(id, |entry| entry.driver.clone()).flatten();
        match driver {
            Some(driver) => driver.dial(id, port).await,
            None => Err(DriverError::new(Reason::NotFound, "the instance does not run")),
        }
    }
}
