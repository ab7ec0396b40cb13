//! A few read-only connections, opened when first needed. A read never waits for a change and never makes one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rusqlite::{Connection, Transaction};
use tokio::sync::Semaphore;

use super::connection;
use crate::StoreError;

/// Reads at the same time; more would only compete for the same few cores.
const READERS_MAX: u32 = 4;

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
pub(super) struct Readers {
    slots: Arc<Semaphore>,
    pool: Arc<Pool>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(READERS_MAX as usize)),
            pool: Arc::new(Pool { path: path.to_owned(), idle: Mutex::new(Vec::new()) }),
        }
    }

    /// Runs a query on a blocking thread, in a transaction so that all its statements see one state.
    pub(super) async fn run<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.pool);
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let idle = pool.idle.lock().pop();
            let mut conn = match idle {
                Some(conn) => conn,
                None => connection::open_reader(&pool.path)?,
            };
            let answer = query(&conn.transaction()?);
            pool.idle.lock().push(conn);
            answer
        });
        work.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits for running reads, then refuses new ones.
    pub(super) async fn close(&self) {
        if let Ok(_all) = self.slots.acquire_many(READERS_MAX).await {
            self.slots.close();
            self.pool.idle.lock().clear();
        }
    }
}
