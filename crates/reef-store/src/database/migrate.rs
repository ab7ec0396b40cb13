//! Brings a file to the newest schema: each migration once, in order, in its own transaction, after a backup.
//!
//! Refuses a file that a newer version wrote and one whose applied migrations are not the ones embedded here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::{StoreError, files, row};

/// One step, embedded from `migrations/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// The schema of one file.
#[derive(Debug)]
pub(crate) struct Schema {
    /// For the writer thread's name.
    pub(crate) name: &'static str,
    /// SQLite's `application_id`: tells our files from others, and one kind from another.
    pub(crate) application_id: i32,
    /// Numbered from 1 without gaps.
    pub(crate) migrations: &'static [Migration],
}

/// Applies what is missing.
pub(super) fn run(conn: &mut Connection, path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let applied = applied(conn, schema)?;
    let known = u32::try_from(schema.migrations.len()).unwrap_or(u32::MAX);
    let found = applied.last().map_or(0, |(number, _)| *number);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (migration, (number, checksum)) in schema.migrations.iter().zip(&applied) {
        if migration.number != *number || checksum_of(migration) != *checksum {
            return Err(StoreError::MigrationChanged { number: *number });
        }
    }
    let missing = schema.migrations.get(applied.len()..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    if found > 0 {
        back_up(conn, path, found)?;
    }
    // Rebuilding a table means dropping it, which must not cascade; the check before each commit makes up for it.
    conn.pragma_update(None, "foreign_keys", false)?;
    for migration in missing {
        apply(conn, schema, migration)?;
    }
    conn.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Numbers and checksums of what was applied, in order.
fn applied(conn: &Connection, schema: &Schema) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != schema.application_id {
        return Err(StoreError::corrupt(format!("the file is not a {} database", schema.name)));
    }
    row::query_all(conn, "SELECT number, checksum FROM migrations ORDER BY number", (), |row| {
        Ok((row::unsigned(row, "number")?, row::get(row, "checksum")?))
    })
}

fn apply(conn: &mut Connection, schema: &Schema, migration: &Migration) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // In the same transaction as the first migration, so that a crash leaves an empty file or a complete one.
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
             number        INTEGER PRIMARY KEY,
             name          TEXT    NOT NULL,
             checksum      BLOB    NOT NULL,
             applied_at_ns INTEGER NOT NULL
         ) STRICT",
    )?;
    tx.execute_batch(migration.sql)?;
    tx.execute(
        "INSERT INTO migrations (number, name, checksum, applied_at_ns) VALUES (?1, ?2, ?3, ?4)",
        (migration.number, migration.name, checksum_of(migration), row::time_ns(Timestamp::now())),
    )?;
    tx.pragma_update(None, "application_id", schema.application_id)?;
    tx.pragma_update(None, "user_version", migration.number)?;
    if tx.prepare("PRAGMA foreign_key_check")?.exists(())? {
        return Err(StoreError::corrupt(format!("migration {} leaves dangling references", migration.number)));
    }
    tx.commit()?;
    tracing::info!(schema = schema.name, number = migration.number, name = migration.name, "migration applied");
    Ok(())
}

/// A compact copy beside the file, complete before anything is changed.
fn back_up(conn: &Connection, path: &Path, version: u32) -> Result<(), StoreError> {
    let backup = backup_path(path, version);
    let unfinished = backup.with_extension("unfinished");
    files::remove_leftover(&unfinished)?;
    // VACUUM INTO accepts an empty file, and so the copy never has another mode than this one.
    drop(files::private_file_new(&unfinished)?);
    let target = unfinished.to_str().ok_or_else(|| StoreError::corrupt("the data directory's name is not UTF-8"))?;
    conn.execute("VACUUM INTO ?1", [target])?;
    files::publish(&unfinished, &backup, path.parent().unwrap_or(Path::new(".")))?;
    tracing::info!(path = %backup.display(), "backup made before the migration");
    Ok(())
}

/// `reef.db` at version 3 is backed up as `reef.db.v0003.backup`.
fn backup_path(path: &Path, version: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version:04}.backup"));
    PathBuf::from(name)
}

fn checksum_of(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.sql).to_vec()
}
