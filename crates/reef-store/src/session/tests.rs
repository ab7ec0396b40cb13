use super::*;
use crate::testing;

const HASH: [u8; 32] = [5; 32];

fn secs(secs: i64) -> SignedDuration {
    SignedDuration::from_secs(secs)
}

/// Idle limit 600 s, absolute limit 1000 s.
async fn store_with_session(start: Timestamp) -> (tempfile::TempDir, Store, SessionRow) {
    let (dir, store) = testing::store();
    let phc = "$argon2id$".to_owned();
    let user = store.owner_create("ada".to_owned(), phc, testing::audit("setup")).await.unwrap();
    let row = SessionRow {
        id: SessionId::new(),
        hash: HASH,
        user: user.id,
        created_at: start,
        seen_at: start,
        idle_expires_at: start + secs(600),
        expires_at: start + secs(1000),
    };
    store.session_create(row.clone()).await.unwrap();
    (dir, store, row)
}

#[tokio::test]
async fn use_moves_the_idle_limit_but_not_the_last_one() {
    let start = Timestamp::now();
    let (_dir, store, row) = store_with_session(start).await;
    for (at, seen_at) in [(0, 0), (59, 0), (60, 60), (100, 60), (650, 650), (999, 999)] {
        let found = store.session_get_at(HASH, start + secs(at)).await.unwrap().expect("live");
        assert_eq!(found.seen_at, start + secs(seen_at), "at {at}");
        assert_eq!(found.idle_expires_at, start + secs(seen_at + 600), "at {at}");
        assert_eq!(found.expires_at, row.expires_at);
    }
    assert_eq!(store.session_get_at(HASH, start + secs(1000)).await.unwrap(), None);
}

#[tokio::test]
async fn an_idle_session_ends() {
    let start = Timestamp::now();
    let (_dir, store, row) = store_with_session(start).await;
    assert_eq!(store.session_get(HASH).await.unwrap(), Some(row));
    assert_eq!(store.session_get([6; 32]).await.unwrap(), None);
    assert_eq!(store.session_get_at(HASH, start + secs(600)).await.unwrap(), None);
    assert_eq!(store.session_delete_expired(start + secs(599)).await.unwrap(), 0);
    assert_eq!(store.session_delete_expired(start + secs(600)).await.unwrap(), 1);
    assert_eq!(store.session_get(HASH).await.unwrap(), None);
}

#[tokio::test]
async fn signing_out_ends_it_at_once() {
    let (_dir, store, _) = store_with_session(Timestamp::now()).await;
    store.session_delete(HASH).await.unwrap();
    store.session_delete(HASH).await.unwrap();
    assert_eq!(store.session_get(HASH).await.unwrap(), None);
}
