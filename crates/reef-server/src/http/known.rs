//! Who was seen a moment ago: a client that sends many requests does not make each of them wait for the database.
//!
//! Nothing is remembered beyond the end of a credential: every revocation voids all of it at once, before whoever revoked
//! hears that it is done.

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use reef_auth::Actor;
use reef_store::Store;
use tokio::time::Instant;

/// How long an entry may serve: short, so that the time of the last use is still written down.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// Clients that are remembered; more only wait for the database.
const KNOWN_MAX: usize = 256;

/// Actors by the hash of their secret.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<[u8; 32], Entry>>);

struct Entry {
    actor: Actor,
    revocations: u64,
    until: Instant,
}

/// A moment before the database was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    revocations: u64,
    at: Instant,
}

impl Reading {
    pub(crate) fn begin(store: &Store) -> Self {
        Self { revocations: store.revocations(), at: Instant::now() }
    }
}

impl Entry {
    fn holds(&self, now: Reading) -> bool {
        self.revocations == now.revocations && now.at < self.until
    }
}

impl Known {
    /// Who sent this, if that was found out lately and no credential has ended since.
    pub(crate) fn get(&self, hash: &[u8; 32], now: Reading) -> Option<Actor> {
        let entries = self.0.lock();
        entries.get(hash).filter(|entry| entry.holds(now)).map(|entry| entry.actor.clone())
    }

    /// Remembers what was read, at most until the credential expires by itself.
    pub(crate) fn put(&self, hash: [u8; 32], actor: &Actor, expires: Option<Timestamp>, reading: Reading) {
        let left = expires.map_or(SignedDuration::MAX, |at| at.duration_since(Timestamp::now()));
        let Ok(left) = Duration::try_from(left) else { return };
        let until = reading.at + left.min(KNOWN_FOR);
        let mut entries = self.0.lock();
        if entries.len() >= KNOWN_MAX {
            entries.retain(|_, entry| entry.holds(reading));
        }
        if entries.len() < KNOWN_MAX {
            entries.insert(hash, Entry { actor: actor.clone(), revocations: reading.revocations, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTOR: Actor = Actor::Local { uid: 0 };

    fn is_known(known: &Known, hash: u8, now: Reading) -> bool {
        known.get(&[hash; 32], now).is_some()
    }

    fn start() -> Reading {
        Reading { revocations: 0, at: Instant::now() }
    }

    fn later(reading: Reading, time: Duration) -> Reading {
        Reading { at: reading.at + time, ..reading }
    }

    #[test]
    fn nobody_is_known_for_long() {
        let (known, reading) = (Known::default(), start());
        known.put([1; 32], &ACTOR, None, reading);
        assert!(is_known(&known, 1, reading));
        assert!(!is_known(&known, 2, reading));
        assert!(!is_known(&known, 1, later(reading, KNOWN_FOR)));
    }

    #[test]
    fn an_expiry_ends_it_earlier() {
        const LEFT: Duration = Duration::from_secs(2);
        let (known, reading, now) = (Known::default(), start(), Timestamp::now());
        known.put([1; 32], &ACTOR, Some(now + LEFT), reading);
        known.put([2; 32], &ACTOR, Some(now - LEFT), reading);
        assert!(is_known(&known, 1, reading));
        assert!(!is_known(&known, 2, reading));
        assert!(!is_known(&known, 1, later(reading, LEFT)));
    }

    #[test]
    fn a_revocation_voids_what_was_read_before_it() {
        let (known, before) = (Known::default(), start());
        let after = Reading { revocations: 1, ..before };
        known.put([1; 32], &ACTOR, None, before);
        assert!(!is_known(&known, 1, after));
        // Read before and remembered after it: no better.
        known.put([1; 32], &ACTOR, None, before);
        assert!(!is_known(&known, 1, after));
    }

    #[test]
    fn a_full_memory_makes_room_only_by_what_is_void() {
        let (known, reading) = (Known::default(), start());
        let hash = |n: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&(n as u64).to_le_bytes());
            hash
        };
        for n in 0..=KNOWN_MAX {
            known.put(hash(n), &ACTOR, None, reading);
        }
        assert_eq!(known.0.lock().len(), KNOWN_MAX);
        assert!(known.get(&hash(KNOWN_MAX), reading).is_none());
        let after = Reading { revocations: 1, ..reading };
        known.put(hash(KNOWN_MAX), &ACTOR, None, after);
        assert!(known.get(&hash(KNOWN_MAX), after).is_some());
        assert_eq!(known.0.lock().len(), 1);
    }
}
