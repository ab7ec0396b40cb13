use std::fs;

use secrecy::{ExposeSecret, SecretString};

use crate::{Store, StoreError, testing};

async fn get(store: &Store, scope: &str, name: &str) -> Option<String> {
    store.secret_get(scope, name).await.unwrap().map(|value| value.expose_secret().to_owned())
}

#[tokio::test]
async fn secrets_come_back_and_go() {
    let (_dir, store) = testing::store();
    for (scope, name, value) in [("a", "x", "1"), ("a", "y", "2"), ("b", "x", "3"), ("a", "x", "4")] {
        store.secret_put(scope, name, SecretString::from(value)).await.unwrap();
    }
    assert_eq!(get(&store, "a", "x").await.as_deref(), Some("4"));
    assert_eq!(get(&store, "b", "x").await.as_deref(), Some("3"));
    assert_eq!(get(&store, "b", "y").await, None);
    store.secret_delete("a", "x").await.unwrap();
    store.secret_delete("a", "x").await.unwrap();
    assert_eq!(get(&store, "a", "x").await, None);
    store.secret_delete_scope("a").await.unwrap();
    assert_eq!((get(&store, "a", "y").await, get(&store, "b", "x").await), (None, Some("3".to_owned())));
}

/// Somebody who can write the database, but has no key, swaps rows or puts an older value back.
#[tokio::test]
async fn rows_that_were_moved_do_not_open() {
    for tamper in [
        "UPDATE secrets SET name = CASE name WHEN 'x' THEN 'tmp' ELSE 'x' END;
         UPDATE secrets SET name = 'y' WHERE name = 'tmp'",
        "UPDATE secrets SET value = (SELECT value FROM secrets WHERE name = 'y')",
        "UPDATE secrets SET version = version + 1",
        "UPDATE secrets SET value = substr(value, 1, length(value) - 1)",
        "UPDATE secrets SET value = x''",
    ] {
        let (_dir, store) = testing::store();
        for name in ["x", "y"] {
            store.secret_put("a", name, SecretString::from(name)).await.unwrap();
        }
        store.write(move |tx| Ok(tx.execute_batch(tamper)?)).await.unwrap();
        let refused = store.secret_get("a", "x").await;
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{tamper}: {refused:?}");
    }
}

#[tokio::test]
async fn an_older_value_does_not_open_as_the_newer_one() {
    let (_dir, store) = testing::store();
    store.secret_put("a", "x", SecretString::from("old")).await.unwrap();
    store.write(|tx| Ok(tx.execute_batch("CREATE TABLE kept AS SELECT value FROM secrets")?)).await.unwrap();
    store.secret_put("a", "x", SecretString::from("new")).await.unwrap();
    let put_back = "UPDATE secrets SET value = (SELECT value FROM kept)";
    store.write(move |tx| Ok(tx.execute_batch(put_back)?)).await.unwrap();
    assert!(matches!(store.secret_get("a", "x").await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn no_file_holds_a_secret_in_the_clear() {
    const MARKER: &str = "marker-7f3a9c-planted";
    let (dir, store) = testing::store();
    let spec = testing::spec("scout");
    let job = testing::job(spec.id, reef_types::JobKind::InstanceStart);
    let secrets = vec![("gateway".to_owned(), SecretString::from(format!("{MARKER}-1")))];
    store.instance_create(spec, job, secrets, testing::audit("instance.create")).await.unwrap();
    store.secret_put("a", "x", SecretString::from(format!("{MARKER}-2"))).await.unwrap();
    let backup = dir.path().join("copy.db").to_str().unwrap().to_owned();

    let mut scanned = Vec::new();
    let mut scan = |when: &str| {
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
            assert!(!found, "{:?} {when}", entry.file_name());
            scanned.push(entry.file_name().into_string().unwrap());
        }
    };
    scan("while open");
    store.close().await;
    rusqlite::Connection::open(dir.path().join("reef.db")).unwrap().execute("VACUUM INTO ?1", [backup]).unwrap();
    scan("after close, with a backup");
    for name in ["reef.db", "reef.db-wal", "copy.db", "vault.key", "usage.db"] {
        assert!(scanned.iter().any(|seen| seen == name), "{name} was not looked at: {scanned:?}");
    }
}
