use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Begins as many tries as wanted, each when the wait before it is over; the time of the last.
fn fail_times(attempts: &mut Attempts, keys: &[Key], times: u32, mut now: Instant) -> Instant {
    for _ in 0..times {
        if let Err(blocked) = attempts.begin(keys, now) {
            now += blocked.retry_after;
            attempts.begin(keys, now).unwrap();
        }
    }
    now
}

fn wait(attempts: &Attempts, key: Key, now: Instant) -> u64 {
    attempts.wait_left(key, now).unwrap_or_default().as_secs()
}

#[test]
fn waits_double_up_to_the_limit_of_the_kind() {
    for (failures, account_secs, address_secs) in
        [(1, 0, 0), (4, 0, 0), (5, 1, 1), (6, 2, 2), (7, 4, 4), (11, 60, 64), (15, 60, 900), (50, 60, 900)]
    {
        for (key, expect) in [(Key::account("ada"), account_secs), (Key::address([192, 0, 2, 1].into()), address_secs)]
        {
            let mut attempts = Attempts::default();
            let now = fail_times(&mut attempts, &[key], failures, Instant::now());
            assert_eq!(wait(&attempts, key, now), expect, "{failures} failures of {key:?}");
        }
    }
}

#[test]
fn a_wait_ends_on_time_and_a_refused_try_does_not_prolong_it() {
    let now = Instant::now();
    let keys = [Key::account("ada")];
    let mut attempts = Attempts::default();
    fail_times(&mut attempts, &keys, FREE_FAILURES, now);
    let almost = now + WAIT_FIRST - Duration::from_millis(1);
    for _ in 0..100 {
        assert_eq!(attempts.begin(&keys, almost), Err(Blocked { retry_after: Duration::from_millis(1) }));
    }
    assert_eq!(attempts.begin(&keys, now + WAIT_FIRST), Ok(()));
    assert_eq!(attempts.begin(&keys, now + WAIT_FIRST), Err(Blocked { retry_after: 2 * SECOND }));
}

#[test]
fn tries_at_once_are_counted_before_their_outcome_is_known() {
    let now = Instant::now();
    let keys = [Key::account("ada"), Key::address([192, 0, 2, 1].into())];
    let mut attempts = Attempts::default();
    let begun = (0..100).filter(|_| attempts.begin(&keys, now).is_ok()).count();
    assert_eq!(begun, FREE_FAILURES as usize);
}

#[test]
fn success_clears_the_account_and_takes_one_back_from_the_address() {
    let now = Instant::now();
    let (account, address) = (Key::account("ada"), Key::address([192, 0, 2, 1].into()));
    let mut attempts = Attempts::default();
    let later = fail_times(&mut attempts, &[account, address], FREE_FAILURES + 1, now);
    attempts.succeeded(&[account, address]);
    assert_eq!((wait(&attempts, account, later), wait(&attempts, address, later)), (0, 1));

    let mut attempts = Attempts::default();
    for _ in 0..100 {
        attempts.begin(&[account, address], now).expect("people who know their password never wait");
        attempts.succeeded(&[account, address]);
    }
    assert!(attempts.keys.is_empty());
    attempts.succeeded(&[account, address]);
}

#[test]
fn old_failures_are_forgotten() {
    let key = Key::account("ada");
    let mut attempts = Attempts::default();
    let last = fail_times(&mut attempts, &[key], 50, Instant::now());
    attempts.begin(&[key], last + FORGET_AFTER).unwrap();
    assert_eq!(wait(&attempts, key, last + FORGET_AFTER), 0, "one failure, not fifty-one");
}

#[test]
fn a_flood_of_keys_neither_grows_the_map_nor_frees_the_victim() {
    let victim = Key::account("ada");
    let mut attempts = Attempts::default();
    let now = fail_times(&mut attempts, &[victim], FREE_FAILURES + 10, Instant::now());
    for i in 0..u32::try_from(KEYS_MAX).unwrap() + 500 {
        attempts.begin(&[Key::address(i.to_be_bytes().into())], now).unwrap();
    }
    assert_eq!(attempts.keys.len(), KEYS_MAX);
    assert!(attempts.begin(&[victim], now).is_err());
    attempts.begin(&[Key::account("late")], now + FORGET_AFTER).unwrap();
    assert_eq!(attempts.keys.len(), 1, "the forgotten ones make room");
}

#[test]
fn keys_cannot_be_varied_cheaply() {
    assert_eq!(Key::account("ADA"), Key::account("ada"));
    let ip = |text: &str| Key::address(text.parse().unwrap());
    assert_eq!(ip("2001:db8:1:2::1"), ip("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(ip("2001:db8:1:2::1"), ip("2001:db8:1:3::1"));
    assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
}
