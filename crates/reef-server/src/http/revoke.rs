//! Ends what a session or token has opened when it is gone itself.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use reef_auth::{Actor, Via};
use reef_forward::Revocation;
use tokio::sync::watch;

/// Ended credentials that are remembered: longer than any request may be between its authentication and its stream.
const ENDED_MAX: usize = 1024;

/// Who has connections open.
#[derive(Default)]
pub(crate) struct Revocations(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Bounded by the open connections: an entry without one is dropped at the next look.
    senders: HashMap<String, watch::Sender<Option<Revocation>>>,
    /// The latest ends, for requests that were authenticated just before. Ids are never used again.
    ended: VecDeque<String>,
}

impl Revocations {
    /// What a long connection of this actor listens to. The local socket has no credential that could end.
    pub(crate) fn watch(&self, actor: Option<&Actor>) -> watch::Receiver<Option<Revocation>> {
        let key = match actor {
            Some(Actor::Owner { via: Via::Session(id), .. }) => id.to_string(),
            Some(Actor::Owner { via: Via::Token { id, .. }, .. }) => id.to_string(),
            Some(Actor::Local { .. }) | None => "local".to_owned(),
        };
        let mut inner = self.0.lock();
        if inner.ended.contains(&key) {
            return watch::Sender::new(Some(Revocation::SessionEnded)).subscribe();
        }
        inner.senders.retain(|_, sender| sender.receiver_count() > 0);
        inner.senders.entry(key).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// The session or token with this id has ended.
    pub(crate) fn end(&self, id: &str) {
        let mut inner = self.0.lock();
        if inner.ended.len() == ENDED_MAX {
            inner.ended.pop_front();
        }
        inner.ended.push_back(id.to_owned());
        if let Some(sender) = inner.senders.remove(id) {
            sender.send_replace(Some(Revocation::SessionEnded));
        }
    }
}

#[cfg(test)]
mod tests {
    use reef_types::{SessionId, UserId};

    use super::*;

    #[test]
    fn an_end_reaches_who_listens_and_who_was_about_to() {
        let revocations = Revocations::default();
        let (id, other) = (SessionId::new(), SessionId::new());
        let actor = |id| Actor::Owner { user: UserId::new(), name: "ada".to_owned(), via: Via::Session(id) };
        let early = revocations.watch(Some(&actor(id)));
        let bystander = revocations.watch(Some(&actor(other)));
        revocations.end(&id.to_string());
        let late = revocations.watch(Some(&actor(id)));
        for receiver in [early, late] {
            assert_eq!(*receiver.borrow(), Some(Revocation::SessionEnded));
        }
        assert_eq!(*bystander.borrow(), None);
        for _ in 0..ENDED_MAX * 2 {
            revocations.end(&SessionId::new().to_string());
        }
        assert_eq!(revocations.0.lock().ended.len(), ENDED_MAX);
    }
}
