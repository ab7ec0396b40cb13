//! How long to wait before the next try.

use std::time::Duration;

use crate::gateway::error::Outlook;

/// First wait while the gateway is starting or restarting; a start takes 10 to 30 seconds, and the link should not add to
/// that much.
const SOON_MIN: Duration = Duration::from_millis(150);

/// Longest wait while a start is to be expected.
const SOON_MAX: Duration = Duration::from_millis(600);

/// Tries at that pace, about three minutes: several starts at once on a small machine take 80 seconds and more.
const SOON_TRIES: u32 = 400;

/// First wait when something has to change before a try can work.
const LATER_MIN: Duration = Duration::from_secs(1);

/// Longest wait of all, unless the gateway asks for a longer one.
const LATER_MAX: Duration = Duration::from_secs(30);

/// Waits between tries: growing, bounded, with jitter, so that many links do not try in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    soon: u32,
    later: u32,
}

impl Backoff {
    /// The connection worked: start over.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The next wait. `asked` is what the gateway wants, and is never undercut.
    pub(super) fn next(&mut self, outlook: Outlook, asked: Option<Duration>) -> Duration {
        let wait = match outlook {
            Outlook::Soon if self.soon < SOON_TRIES => {
                self.soon += 1;
                grow(SOON_MIN, SOON_MAX, self.soon - 1)
            }
            _ => {
                self.later += 1;
                grow(LATER_MIN, LATER_MAX, self.later - 1)
            }
        };
        let asked = asked.unwrap_or_default();
        // Above what was asked the jitter only adds.
        if asked >= wait { asked + jitter(asked / 8) } else { (wait / 2 + jitter(wait / 2)).max(asked) }
    }
}

fn grow(min: Duration, max: Duration, times: u32) -> Duration {
    min.saturating_mul(1 << times.min(16)).min(max)
}

/// A random time up to `max`.
fn jitter(max: Duration) -> Duration {
    // Without randomness the waits are only less spread.
    let part = getrandom::u32().unwrap_or(u32::MAX / 2);
    max.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_bounds() {
        let mut backoff = Backoff::default();
        for _ in 0..SOON_TRIES {
            let wait = backoff.next(Outlook::Soon, None);
            assert!(wait >= SOON_MIN / 2 && wait <= SOON_MAX, "{wait:?}");
        }
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            last = backoff.next(Outlook::Soon, None);
            assert!(last >= LATER_MIN / 2 && last <= LATER_MAX, "{last:?}");
        }
        assert!(last >= LATER_MAX / 2, "a gateway that stays away is tried seldom: {last:?}");
        backoff.reset();
        assert!(backoff.next(Outlook::Soon, None) <= SOON_MIN);
    }

    #[test]
    fn what_the_gateway_asks_for_is_never_undercut() {
        for asked in [Duration::from_millis(1), Duration::from_millis(500), Duration::from_secs(300)] {
            for outlook in [Outlook::Soon, Outlook::Later] {
                for _ in 0..50 {
                    assert!(Backoff::default().next(outlook, Some(asked)) >= asked);
                }
            }
        }
    }
}
