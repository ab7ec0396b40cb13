//! The hub's event bus: what `GET /api/events` serves, resumable by id.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use reef_types::{InstanceId, InstanceName, InstanceView, Job};
use serde::Serialize;
use tokio::sync::broadcast;

/// Events kept for clients that come back.
const REPLAY_EVENTS_MAX: usize = 1024;
/// Events that a slow client may be behind before it has to start over.
const LAG_EVENTS_MAX: usize = 256;

/// One event, rendered once for all listeners.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) name: &'static str,
    pub(crate) data: String,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum HubEvent<'a> {
    Instance(&'a InstanceView),
    InstanceRemoved { id: InstanceId, name: &'a InstanceName },
    Job(&'a Job),
}

/// What a new listener gets.
pub(crate) struct Subscription {
    /// True when everything after the given id is in `missed`; false when the listener must read everything again.
    pub(crate) resumed: bool,
    pub(crate) missed: Vec<Arc<Event>>,
    pub(crate) receiver: broadcast::Receiver<Arc<Event>>,
    /// Id of the last event before the subscription.
    pub(crate) last_id: String,
}

struct Inner {
    seq: u64,
    ring: VecDeque<Arc<Event>>,
}

/// Publishes events; never blocks.
pub(crate) struct Bus {
    /// Ids of another run of the hub must not be taken for ours.
    epoch: String,
    inner: Mutex<Inner>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Bus {
    pub(crate) fn new(epoch: String) -> Self {
        let (sender, _) = broadcast::channel(LAG_EVENTS_MAX);
        Self { epoch, inner: Mutex::new(Inner { seq: 0, ring: VecDeque::with_capacity(REPLAY_EVENTS_MAX) }), sender }
    }

    pub(crate) fn publish(&self, event: &HubEvent<'_>) {
        #[derive(Serialize)]
        struct Removed<'a> {
            id: InstanceId,
            name: &'a InstanceName,
        }
        let (name, data) = match event {
            HubEvent::Instance(view) => ("instance", serde_json::to_string(view)),
            HubEvent::InstanceRemoved { id, name } => {
                ("instanceRemoved", serde_json::to_string(&Removed { id: *id, name }))
            }
            HubEvent::Job(job) => ("job", serde_json::to_string(job)),
        };
        let Ok(data) = data else { return };
        let mut inner = self.inner.lock();
        inner.seq += 1;
        let event = Arc::new(Event { seq: inner.seq, name, data });
        if inner.ring.len() == REPLAY_EVENTS_MAX {
            inner.ring.pop_front();
        }
        inner.ring.push_back(event.clone());
        // Sent under the lock, so that a subscriber sees each event either in the ring or on the channel, never twice.
        let _ = self.sender.send(event);
    }

    /// Listens from now on; `last_event_id` is what the client saw last.
    pub(crate) fn subscribe(&self, last_event_id: Option<&str>) -> Subscription {
        let inner = self.inner.lock();
        let seen = last_event_id.and_then(|id| self.parse_id(id)).filter(|seq| *seq <= inner.seq);
        let oldest = inner.ring.front().map_or(inner.seq + 1, |e| e.seq);
        let resumed = seen.is_some_and(|seq| seq + 1 >= oldest);
        let missed = match seen {
            Some(seq) if resumed => inner.ring.iter().filter(|e| e.seq > seq).cloned().collect(),
            _ => Vec::new(),
        };
        Subscription { resumed, missed, receiver: self.sender.subscribe(), last_id: self.id(inner.seq) }
    }

    pub(crate) fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.epoch)
    }

    fn parse_id(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.epoch)?.strip_prefix('-')?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let now = jiff::Timestamp::UNIX_EPOCH;
        Job {
            id: reef_types::JobId::new(),
            kind: reef_types::JobKind::InstanceStart,
            state: reef_types::JobState::Queued,
            instance_id: None,
            progress: reef_types::Progress::default(),
            reason: None,
            message: None,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn resumes_from_the_ring_and_starts_over_when_it_cannot() {
        let bus = Bus::new("e1".into());
        bus.publish(&HubEvent::Job(&job()));
        let first = bus.id(1);
        bus.publish(&HubEvent::Job(&job()));

        let sub = bus.subscribe(Some(&first));
        assert!(sub.resumed);
        assert_eq!(sub.missed.iter().map(|e| e.seq).collect::<Vec<_>>(), [2]);
        let sub = bus.subscribe(Some(&bus.id(2)));
        assert!(sub.resumed && sub.missed.is_empty());

        for wrong in [None, Some("e0-1"), Some("e1-99"), Some("junk")] {
            assert!(!bus.subscribe(wrong).resumed, "{wrong:?}");
        }
        for _ in 0..REPLAY_EVENTS_MAX {
            bus.publish(&HubEvent::Job(&job()));
        }
        assert!(!bus.subscribe(Some(&first)).resumed, "older than the ring");
    }
}
