//! Seeing shims end, our own children and those of a node that was restarted alike.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use reef_driver::DriverEvent;
use reef_sandbox::process::ProcessRef;
use reef_types::InstanceId;
use tokio::sync::broadcast;

use crate::{launch::Disowned, readiness};

/// Events that a slow receiver may be behind.
const EVENTS_MAX: usize = 256;

/// Tells whoever listens that an instance has changed.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    events: broadcast::Sender<DriverEvent>,
    /// One watcher for each running shim.
    watched: Arc<Mutex<HashMap<InstanceId, ProcessRef>>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        Self { events, watched: Arc::default() }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<DriverEvent> {
        self.events.subscribe()
    }

    pub(crate) fn changed(&self, id: InstanceId) {
        // Nobody listens: nobody needs to know.
        let _ = self.events.send(DriverEvent::Changed { id });
    }

    /// Watches a shim that this process has started.
    pub(crate) fn child(&self, id: InstanceId, shim: ProcessRef, child: Disowned) {
        self.watched.lock().insert(id, shim.clone());
        let watch = self.clone();
        tokio::spawn(async move {
            child.wait().await;
            watch.ended(id, &shim);
        });
    }

    /// Watches a shim that was found running, unless it is watched already.
    pub(crate) fn found(&self, id: InstanceId, shim: &ProcessRef) {
        if self.watched.lock().insert(id, shim.clone()).as_ref() == Some(shim) {
            return;
        }
        let (watch, shim) = (self.clone(), shim.clone());
        tokio::spawn(async move {
            wait_for_end(&shim).await;
            watch.ended(id, &shim);
        });
    }

    fn ended(&self, id: InstanceId, shim: &ProcessRef) {
        let mut watched = self.watched.lock();
        if watched.get(&id) == Some(shim) {
            watched.remove(&id);
        }
        drop(watched);
        self.changed(id);
    }
}

/// Returns when the process has ended, at once if it has already.
pub(crate) async fn wait_for_end(process: &ProcessRef) {
    if let Some(fd) = process.open()
        && let Ok(fd) = readiness::register(fd)
    {
        let _ = fd.readable().await;
    }
}
