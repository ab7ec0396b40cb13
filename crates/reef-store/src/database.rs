//! One SQLite file: a writer thread that does all changes one after another, and a few connections that read.
//!
//! Knows no table. Changes are closures run inside `BEGIN IMMEDIATE … COMMIT`; whoever awaits one may go away, the
//! change is carried out all the same.

mod connection;
mod migrate;
mod readers;
mod writer;

use std::path::Path;

use rusqlite::{Connection, Transaction};

pub(crate) use connection::Durability;
pub(crate) use migrate::{Migration, Schema};

use crate::StoreError;

/// An open database file.
#[derive(Debug)]
pub(crate) struct Database {
    // Before `writer`: readers end first, so that the writer's last close can fold the log into the file.
    readers: readers::Readers,
    writer: writer::Writer,
}

impl Database {
    /// Opens or makes the file, brings its schema up to date and lets `prepare` look at it before anybody else does.
    pub(crate) fn open<T>(
        path: &Path,
        schema: &Schema,
        durability: Durability,
        prepare: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let mut conn = connection::open_writer(path, durability)?;
        migrate::run(&mut conn, path, schema)?;
        let prepared = prepare(&conn)?;
        let database =
            Self { readers: readers::Readers::new(path), writer: writer::Writer::start(conn, schema.name, path)? };
        Ok((database, prepared))
    }

    /// Carries out one change as a transaction; an error rolls all of it back.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.run(change, || {}).await
    }

    /// Like [`Database::write`]; `after` is called between the commit and the answer.
    pub(crate) async fn write_then<T, F, A>(&self, change: F, after: A) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
        A: FnOnce() + Send + 'static,
    {
        self.writer.run(change, after).await
    }

    /// Reads one consistent state.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.run(query).await
    }

    /// Ends all connections after the changes that were asked for before; idempotent.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests;
