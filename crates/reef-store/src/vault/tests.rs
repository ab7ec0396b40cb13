use std::{fs, os::unix::fs::PermissionsExt};

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::*;
use crate::{Store, testing};

const CELL: Cell<'_> = Cell { table: "secrets", column: "value", row: ["scope", "name"], version: 1 };

fn vault() -> Vault {
    Vault::new(&[7; KEY_BYTES])
}

#[test]
fn what_is_sealed_opens_in_its_cell_only() {
    let vault = vault();
    for text in ["", "sk-1", "müßig\0", &"long".repeat(10_000)] {
        let sealed = vault.seal(CELL, &SecretString::from(text)).unwrap();
        assert_eq!(vault.open(CELL, &sealed).unwrap().expose_secret(), text);
    }
    let sealed = vault.seal(CELL, &SecretString::from("sk-1")).unwrap();
    for other in [
        Cell { table: "secret", ..CELL },
        Cell { column: "values", ..CELL },
        Cell { row: ["name", "scope"], ..CELL },
        Cell { row: ["scopen", "ame"], ..CELL },
        Cell { version: 2, ..CELL },
    ] {
        assert!(matches!(vault.open(other, &sealed), Err(StoreError::Corrupt { .. })), "{other:?}");
    }
    assert!(Vault::new(&[8; KEY_BYTES]).open(CELL, &sealed).is_err(), "another key");
}

#[test]
fn every_changed_byte_is_noticed() {
    let vault = vault();
    let sealed = vault.seal(CELL, &SecretString::from("sk-1")).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(vault.open(CELL, &changed).is_err(), "byte {at}");
        assert!(vault.open(CELL, &sealed[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn equal_values_look_different() {
    let vault = vault();
    let value = SecretString::from("sk-1");
    assert_ne!(vault.seal(CELL, &value).unwrap(), vault.seal(CELL, &value).unwrap());
}

async fn folder_with_secret() -> TempDir {
    let (dir, store) = testing::store();
    store.secret_put("scope", "name", SecretString::from("sk-1")).await.unwrap();
    store.close().await;
    dir
}

#[tokio::test]
async fn the_key_is_kept_and_without_it_the_store_stays_shut() {
    let dir = folder_with_secret().await;
    let path = dir.path().join("vault.key");
    let key = fs::read(&path).unwrap();
    let database = fs::read(dir.path().join("reef.db")).unwrap();

    fs::remove_file(&path).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Key(KeyError::Missing))));
    assert!(!path.exists(), "no new key is made over stored secrets");

    for (bytes, mode) in [(&key[..31], 0o600), (&[1; 32][..], 0o600), (&key[..], 0o640), (&key[..], 0o604)] {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = Store::open(dir.path()).unwrap_err();
        match (bytes.len(), mode) {
            (31, _) => assert!(matches!(refused, StoreError::Key(KeyError::Malformed)), "{refused:?}"),
            (_, 0o600) => assert!(matches!(refused, StoreError::Key(KeyError::Mismatch)), "{refused:?}"),
            _ => assert!(matches!(refused, StoreError::Key(KeyError::TooOpen { .. })), "{refused:?}"),
        }
    }
    assert_eq!(fs::read(dir.path().join("reef.db")).unwrap(), database, "refusing changes nothing");

    fs::write(&path, &key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.secret_get("scope", "name").await.unwrap().unwrap().expose_secret(), "sk-1");
}

#[tokio::test]
async fn a_lost_key_that_guarded_nothing_is_replaced() {
    let (dir, store) = testing::store();
    store.close().await;
    let path = dir.path().join("vault.key");
    let old = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_ne!(fs::read(&path).unwrap(), old);
    store.secret_put("scope", "name", SecretString::from("sk-1")).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).unwrap();
    assert!(store.secret_get("scope", "name").await.unwrap().is_some());
}

#[test]
fn a_key_whose_making_was_interrupted_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("vault.unfinished"), "half").unwrap();
    drop(Store::open(dir.path()).unwrap());
    assert_eq!(fs::read(dir.path().join("vault.key")).unwrap().len(), KEY_BYTES);
    assert!(!dir.path().join("vault.unfinished").exists());
}
