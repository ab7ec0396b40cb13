//! The handle that the rest of the hub holds. Each resource adds its own calls in its own file.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rusqlite::Transaction;

use crate::{
    StoreError,
    database::{Database, Durability},
    files,
    lock::DirLock,
    schema,
    vault::{self, Vault},
};

const MAIN_FILE: &str = "reef.db";
const USAGE_FILE: &str = "usage.db";

#[derive(Debug)]
struct Inner {
    main: Database,
    usage: Database,
    vault: Arc<Vault>,
    /// How many changes have ended a credential.
    revocations: Arc<AtomicU64>,
    // Last, so that a dropped store frees the folder only when nothing writes any more.
    lock: Mutex<Option<DirLock>>,
}

/// Everything that the hub remembers. A clone is a handle to the same store.
///
/// All calls but `open` are for a tokio runtime. A change that was asked for is carried out even if its future is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// Opens or makes the store in a folder of its own; blocks on the disk.
    ///
    /// Fails with `Locked` when another process has it, `NewerSchema` or `MigrationChanged` when another version made it,
    /// and `Key` when the vault's key is missing, wrong or readable by others.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        files::private_dir(dir)?;
        let lock = DirLock::take(dir)?;
        // Before anything is written: a hub that cannot read its secrets must not touch their database.
        let key = vault::load(dir)?;
        // A revoked token or a removed instance must not come back after a power cut.
        let (main, vault) = Database::open(&dir.join(MAIN_FILE), &schema::MAIN, Durability::PowerCut, |conn| {
            vault::prepare(dir, key, conn)
        })?;
        // A power cut may cost the records of the last calls; syncing at each call would cost every call.
        let (usage, ()) = Database::open(&dir.join(USAGE_FILE), &schema::USAGE, Durability::ProcessCrash, |_| Ok(()))?;
        let revocations = Arc::default();
        let inner = Inner { main, usage, vault: Arc::new(vault), revocations, lock: Mutex::new(Some(lock)) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finishes what was asked for, folds the logs into the files and frees the folder; calls after it fail with `Closed`.
    pub async fn close(&self) {
        self.inner.main.close().await;
        self.inner.usage.close().await;
        self.inner.lock.lock().take();
    }

    /// Whether changes are being taken: an answer went through the writer thread. The caller sets the time limit.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(())).await
    }

    /// Grows with each change that ends a token or a session, before whoever asked for it hears that it is done. What
    /// was read about a credential holds, but for its expiry, as long as this is what it was before the reading.
    pub fn revocations(&self) -> u64 {
        self.inner.revocations.load(Ordering::Acquire)
    }

    /// Changes the main file in a way that ends a credential, or would narrow what one may do.
    pub(crate) async fn revoke<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let revocations = self.inner.revocations.clone();
        // Not before the commit: what is read until then must not pass for what is read after it.
        let after = move || {
            revocations.fetch_add(1, Ordering::Release);
        };
        self.inner.main.write_then(change, after).await
    }

    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.inner.vault)
    }

    pub(crate) fn usage(&self) -> &Database {
        &self.inner.usage
    }

    /// Changes the main file.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.main.write(change).await
    }

    /// Reads the main file.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.main.read(query).await
    }
}

#[cfg(test)]
mod tests;
