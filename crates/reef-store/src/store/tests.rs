use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use super::*;
use crate::testing;

#[tokio::test]
async fn nobody_else_may_read_anything() {
    let parent = tempfile::tempdir().unwrap();
    let fresh = parent.path().join("made/by/reef");
    // As a person makes it, and as a careless restore leaves it.
    let wide = parent.path().join("wide");
    fs::create_dir(&wide).unwrap();
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(wide.join("reef.db"), "").unwrap();
    fs::set_permissions(wide.join("reef.db"), fs::Permissions::from_mode(0o644)).unwrap();
    for dir in [&fresh, &wide] {
        let store = Store::open(dir).unwrap();
        store.setting_put("a", "b").await.unwrap();
        assert_eq!(fs::metadata(dir).unwrap().mode() & 0o777, 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
            names.push(entry.file_name().into_string().unwrap());
        }
        for name in ["reef.db", "reef.db-wal", "reef.db-shm", "usage.db", "vault.key", "hub.lock"] {
            assert!(names.iter().any(|seen| seen == name), "{name} in {names:?}");
        }
    }
}

#[tokio::test]
async fn a_folder_has_one_store_at_a_time() {
    let (dir, store) = testing::store();
    match Store::open(dir.path()) {
        Err(StoreError::Locked { pid }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    store.ping().await.unwrap();
    store.close().await;
    let again = Store::open(dir.path()).expect("close frees the folder");
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    drop(again);
    drop(Store::open(dir.path()).expect("dropping frees the folder, too"));
}

#[tokio::test]
async fn what_was_asked_for_before_close_is_kept() {
    const WRITES: usize = 500;
    let (dir, store) = testing::store();
    let writes: Vec<_> = (0..WRITES)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.setting_put(&i.to_string(), "x").await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    store.close().await;
    assert!(!dir.path().join("reef.db-wal").exists(), "the log is folded in");
    let store = Store::open(dir.path()).unwrap();
    let kept: u32 =
        store.read(|tx| Ok(tx.query_row("SELECT count(*) FROM settings", (), |row| row.get(0))?)).await.unwrap();
    assert_eq!(kept as usize, WRITES);
}

#[tokio::test]
async fn the_audit_log_is_append_only_and_newest_first() {
    let (_dir, store) = testing::store();
    for action in ["first", "second", "third"] {
        store.audit_append(testing::audit(action)).await.unwrap();
    }
    let rows = store.audit_list(2).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.entry.action.as_str()).collect::<Vec<_>>(), ["third", "second"]);
    assert_eq!(rows[1].entry, testing::audit("second"));
    let edit = store.write(|tx| Ok(tx.execute("UPDATE audit SET actor = 'nobody'", ())?)).await;
    assert!(edit.is_err());
}

/// The only test of the real migrations' safety net that needs the real files.
#[tokio::test]
async fn files_of_a_newer_version_are_refused() {
    let (dir, store) = testing::store();
    store.write(|tx| Ok(tx.execute("INSERT INTO migrations VALUES (9999, 'future', x'00', 0)", ())?)).await.unwrap();
    store.close().await;
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NewerSchema { found: 9999, .. })));
}
