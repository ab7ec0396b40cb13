use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fail_times(attempts: &mut Attempts, key: Key, times: u32, now: Instant) {
    for _ in 0..times {
        attempts.failed(&[key], now);
    }
}

#[test]
fn waits_double_up_to_the_limit_of_the_kind() {
    let now = Instant::now();
    let (account, address) = (Key::account("ada"), Key::address([192, 0, 2, 1].into()));
    for (failures, account_secs, address_secs) in
        [(1, 0, 0), (4, 0, 0), (5, 1, 1), (6, 2, 2), (7, 4, 4), (11, 60, 64), (15, 60, 900), (5000, 60, 900)]
    {
        let mut attempts = Attempts::default();
        fail_times(&mut attempts, account, failures, now);
        fail_times(&mut attempts, address, failures, now);
        let wait = |key| attempts.check(&[key], now).err().map_or(0, |blocked| blocked.retry_after.as_secs());
        assert_eq!((wait(account), wait(address)), (account_secs, address_secs), "{failures} failures");
    }
}

#[test]
fn a_wait_ends_and_the_next_failure_doubles_it() {
    let now = Instant::now();
    let key = Key::account("ada");
    let mut attempts = Attempts::default();
    fail_times(&mut attempts, key, FREE_FAILURES, now);
    let almost = now + WAIT_FIRST - Duration::from_millis(1);
    assert_eq!(attempts.check(&[key], almost), Err(Blocked { retry_after: Duration::from_millis(1) }));
    assert_eq!(attempts.check(&[key], now + WAIT_FIRST), Ok(()));
    attempts.failed(&[key], now + WAIT_FIRST);
    assert_eq!(attempts.check(&[key], now + WAIT_FIRST), Err(Blocked { retry_after: 2 * SECOND }));
}

#[test]
fn the_longest_wait_of_all_keys_counts() {
    let now = Instant::now();
    let (account, address) = (Key::account("ada"), Key::address([192, 0, 2, 1].into()));
    let mut attempts = Attempts::default();
    fail_times(&mut attempts, account, FREE_FAILURES, now);
    fail_times(&mut attempts, address, FREE_FAILURES + 2, now);
    assert_eq!(attempts.check(&[account, address], now), Err(Blocked { retry_after: 4 * SECOND }));
    attempts.succeeded(address);
    assert_eq!(attempts.check(&[account, address], now), Err(Blocked { retry_after: SECOND }));
    assert_eq!(attempts.check(&[], now), Ok(()));
}

#[test]
fn old_failures_are_forgotten() {
    let now = Instant::now();
    let key = Key::account("ada");
    let mut attempts = Attempts::default();
    fail_times(&mut attempts, key, 50, now);
    attempts.failed(&[key], now + FORGET_AFTER);
    assert_eq!(attempts.check(&[key], now + FORGET_AFTER), Ok(()), "one failure, not fifty-one");
}

#[test]
fn a_flood_of_keys_neither_grows_the_map_nor_frees_the_victim() {
    let now = Instant::now();
    let victim = Key::account("ada");
    let mut attempts = Attempts::default();
    fail_times(&mut attempts, victim, FREE_FAILURES + 10, now);
    for i in 0..u32::try_from(KEYS_MAX).unwrap() + 500 {
        attempts.failed(&[Key::address(i.to_be_bytes().into())], now + SECOND);
    }
    assert_eq!(attempts.keys.len(), KEYS_MAX);
    assert!(attempts.check(&[victim], now + SECOND).is_err());
    attempts.failed(&[Key::account("late")], now + SECOND + FORGET_AFTER);
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
