//! Brakes for guessing: each failure of a key (an account name, an address) makes the next try wait longer.
//!
//! A try counts as a failure from its start until it is known to be none, so that many at once gain nothing. Bounded in
//! memory whatever is tried, and no clock of its own. Not a limit on the number of requests.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

/// Failures before the first wait: people mistype.
pub const FREE_FAILURES: u32 = 5;
/// The first wait; each further failure doubles it.
pub const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait for an account: short, because strangers could otherwise keep its owner out.
pub const ACCOUNT_WAIT_MAX: Duration = Duration::from_secs(60);
/// The longest wait for an address.
pub const ADDRESS_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Without a failure for this long, a key is forgotten. Longer than any wait.
pub const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);
/// Keys remembered at most.
pub const KEYS_MAX: usize = 4096;

/// What failures are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// An account name as typed, whether it exists or not; hashed, because its length is up to whoever types.
    Account([u8; 32]),
    /// An address; of IPv6 the first 64 bits, because one customer has all the others.
    Address(IpAddr),
}

impl Key {
    /// The key of an account name, without regard to case.
    pub fn account(name: &str) -> Self {
        Key::Account(Sha256::digest(name.to_lowercase()).into())
    }

    /// The key of a client's address.
    pub fn address(ip: IpAddr) -> Self {
        const PREFIX: u128 = !0 << 64;
        Key::Address(match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & PREFIX).into()),
            v4 => v4,
        })
    }

    fn wait_max(self) -> Duration {
        match self {
            Key::Account(_) => ACCOUNT_WAIT_MAX,
            Key::Address(_) => ADDRESS_WAIT_MAX,
        }
    }
}

/// Too many failures: try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts; try again in {} seconds", .retry_after.as_millis().div_ceil(1000))]
pub struct Blocked {
    pub retry_after: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    /// At least one.
    count: u32,
    last: Instant,
}

/// The failures of late.
#[derive(Debug, Default)]
pub struct Attempts {
    keys: HashMap<Key, Failures>,
}

impl Attempts {
    /// Lets a try begin and counts it as failed for each of its keys, or tells the longest wait; to be asked before the
    /// password is looked at. A refused try counts nothing.
    pub fn begin(&mut self, keys: &[Key], now: Instant) -> Result<(), Blocked> {
        if let Some(retry_after) = keys.iter().filter_map(|key| self.wait_left(*key, now)).max() {
            return Err(Blocked { retry_after });
        }
        for key in keys {
            self.count(*key, now);
        }
        Ok(())
    }

    /// Takes back what a try that succeeded was counted for. The account starts afresh; the address keeps its other
    /// failures, because who knows one password could else guess others' without end.
    pub fn succeeded(&mut self, keys: &[Key]) {
        for key in keys {
            let Some(failures) = self.keys.get_mut(key) else { continue };
            failures.count -= 1;
            if failures.count == 0 || matches!(key, Key::Account(_)) {
                self.keys.remove(key);
            }
        }
    }

    fn count(&mut self, key: Key, now: Instant) {
        if !self.keys.contains_key(&key) && self.keys.len() >= KEYS_MAX {
            self.make_room(now);
        }
        let failures = self.keys.entry(key).or_insert(Failures { count: 0, last: now });
        if is_forgotten(failures, now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    fn wait_left(&self, key: Key, now: Instant) -> Option<Duration> {
        let failures = self.keys.get(&key)?;
        let passed = now.saturating_duration_since(failures.last);
        let left = wait_after(failures.count, key.wait_max()).saturating_sub(passed);
        (!left.is_zero()).then_some(left)
    }

    /// Drops what is forgotten, else the key with the fewest failures: a flood of fresh keys must not free the one that is
    /// under attack.
    fn make_room(&mut self, now: Instant) {
        self.keys.retain(|_, failures| !is_forgotten(failures, now));
        if self.keys.len() >= KEYS_MAX {
            let weakest = self.keys.iter().min_by_key(|(_, failures)| (failures.count, failures.last));
            if let Some(key) = weakest.map(|(key, _)| *key) {
                self.keys.remove(&key);
            }
        }
    }
}

fn is_forgotten(failures: &Failures, now: Instant) -> bool {
    now.saturating_duration_since(failures.last) >= FORGET_AFTER
}

fn wait_after(count: u32, max: Duration) -> Duration {
    let Some(doublings) = count.checked_sub(FREE_FAILURES) else { return Duration::ZERO };
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    WAIT_FIRST.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests;
