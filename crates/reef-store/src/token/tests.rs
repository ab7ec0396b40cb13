use jiff::SignedDuration;

use super::*;
use crate::testing;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

fn token(user: UserId, byte: u8, expires_at: Option<Timestamp>) -> TokenRow {
    TokenRow {
        id: TokenId::new(),
        name: "ci".to_owned(),
        hash: [byte; 32],
        user,
        scopes: vec!["read".to_owned(), "chat".to_owned()],
        created_at: Timestamp::now(),
        expires_at,
        last_used_at: None,
    }
}

async fn owner(store: &Store) -> UserId {
    store.owner_create("ada".to_owned(), "$argon2id$".to_owned(), testing::audit("setup")).await.unwrap().id
}

#[tokio::test]
async fn tokens_are_found_until_they_expire_or_are_revoked() {
    let (_dir, store) = testing::store();
    let user = owner(&store).await;
    let now = Timestamp::now();
    let (live, dead) = (token(user, 1, Some(now + MINUTE)), token(user, 2, Some(now - MINUTE)));
    for row in [&live, &dead] {
        store.token_create(row.clone(), testing::audit("token.create")).await.unwrap();
    }
    assert_eq!(store.token_by_hash([1; 32]).await.unwrap(), Some(live.clone()));
    assert_eq!(store.token_by_hash([2; 32]).await.unwrap(), None);
    assert_eq!(store.token_by_hash([3; 32]).await.unwrap(), None);
    assert_eq!(store.token_list().await.unwrap(), [dead, live.clone()]);

    let revocations = store.revocations();
    assert!(store.token_delete(live.id, testing::audit("token.delete")).await.unwrap());
    assert_ne!(store.revocations(), revocations, "whoever remembers the token has to hear of it");
    assert!(!store.token_delete(live.id, testing::audit("token.delete")).await.unwrap());
    assert_eq!(store.token_by_hash([1; 32]).await.unwrap(), None);
    let actions: Vec<_> = store.audit_list(10).await.unwrap().into_iter().map(|row| row.entry.action).collect();
    assert_eq!(actions, ["token.delete", "token.create", "token.create", "setup"]);
}

#[tokio::test]
async fn use_is_recorded_to_the_minute() {
    let (_dir, store) = testing::store();
    let row = token(owner(&store).await, 1, None);
    store.token_create(row.clone(), testing::audit("token.create")).await.unwrap();
    let now = Timestamp::now();
    let second = SignedDuration::from_secs(1);
    for (at, expect) in [(now, now), (now + MINUTE - second, now), (now + MINUTE, now + MINUTE), (now, now + MINUTE)] {
        store.token_touch(row.id, at).await.unwrap();
        assert_eq!(store.token_by_hash([1; 32]).await.unwrap().unwrap().last_used_at, Some(expect));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_code_works_once_and_not_for_ever() {
    let (_dir, store) = testing::store();
    let now = Timestamp::now();
    store.setup_code_put([1; 32], now + MINUTE).await.unwrap();
    store.setup_code_put([2; 32], now + MINUTE).await.unwrap();
    assert!(!store.setup_code_take([1; 32], now).await.unwrap(), "a newer one replaced it");
    assert!(!store.setup_code_take([2; 32], now + MINUTE).await.unwrap(), "expired");
    let (a, b) = tokio::join!(store.setup_code_take([2; 32], now), store.setup_code_take([2; 32], now));
    assert_eq!([a.unwrap(), b.unwrap()].iter().filter(|taken| **taken).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_owner() {
    let (_dir, store) = testing::store();
    assert!(!store.owner_exists().await.unwrap());
    let create = |name: &str| {
        let (store, name) = (store.clone(), name.to_owned());
        tokio::spawn(async move {
            let phc = "$argon2id$".to_owned();
            store.owner_create(name, phc, testing::audit("setup")).await
        })
    };
    let (a, b) = tokio::join!(create("ada"), create("bob"));
    let (won, lost): (Vec<_>, Vec<_>) = [a.unwrap(), b.unwrap()].into_iter().partition(Result::is_ok);
    assert!(matches!(lost[..], [Err(StoreError::Conflict)]), "{lost:?}");
    let owner = won.into_iter().next().unwrap().unwrap();
    assert!(store.owner_exists().await.unwrap());
    let found = store.user_by_name(&owner.name.to_uppercase()).await.unwrap().unwrap();
    assert_eq!((found.id, found.created_at), (owner.id, owner.created_at));
    assert_eq!(store.user_get(owner.id).await.unwrap().unwrap().name, owner.name);
    assert_eq!(store.owner_get().await.unwrap().unwrap().id, owner.id);
    assert!(store.user_by_name("eve").await.unwrap().is_none());
    assert!(!format!("{found:?}").contains("argon2id"));
}
