//! Ends what a session or token has opened when it is gone itself.

use std::collections::HashMap;

use parking_lot::Mutex;
use reef_auth::{Actor, Via};
use reef_forward::Revocation;
use tokio::sync::watch;

/// Who has connections open. Bounded by those connections: an entry without one is dropped at the next look.
#[derive(Default)]
pub(crate) struct Revocations(Mutex<HashMap<String, watch::Sender<Option<Revocation>>>>);

impl Revocations {
    /// What a long connection of this actor listens to. The local socket has no credential that could end.
    pub(crate) fn watch(&self, actor: Option<&Actor>) -> watch::Receiver<Option<Revocation>> {
        let key = match actor {
            Some(Actor::Owner { via: Via::Session(id), .. }) => id.to_string(),
            Some(Actor::Owner { via: Via::Token { id, .. }, .. }) => id.to_string(),
            Some(Actor::Local { .. }) | None => "local".to_owned(),
        };
        let mut senders = self.0.lock();
        senders.retain(|_, sender| sender.receiver_count() > 0);
        senders.entry(key).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// The session or token with this id has ended.
    pub(crate) fn end(&self, id: &str) {
        if let Some(sender) = self.0.lock().remove(id) {
            sender.send_replace(Some(Revocation::SessionEnded));
        }
    }
}
