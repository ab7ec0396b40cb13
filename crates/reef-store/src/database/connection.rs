//! How connections are set up. Must be the only place that opens a database file.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{StoreError, files};

/// Statements kept prepared on each connection; more than there are distinct ones on a hot path.
const STATEMENT_CACHE: usize = 32;
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 2048;
/// Page cache of one reader, in KiB: the hub has to stay small, and the kernel caches the file anyway.
const READER_CACHE_KIB: i64 = 512;
/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_BYTES_MAX: i64 = 8 << 20;

/// What a commit survives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    /// A power cut: the log is synced at each commit.
    PowerCut,
    /// A crash of the process; a power cut may take the last commits, never the consistency.
    ProcessCrash,
}

/// Opens the one connection that changes the file, making the file when there is none.
pub(crate) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    files::private_file(path)?;
    let conn = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    set_up(&conn, WRITER_CACHE_KIB)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        // For example on a network file system: readers and the writer would block each other.
        return Err(StoreError::corrupt("the file system of the data directory does not allow a write-ahead log"));
    }
    conn.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::PowerCut => "full",
            Durability::ProcessCrash => "normal",
        },
    )?;
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // A removed secret is overwritten, not only unlinked: its ciphertext must not wait for the key to leak.
    conn.pragma_update(None, "secure_delete", true)?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    set_up(&conn, READER_CACHE_KIB)?;
    Ok(conn)
}

fn flags(access: OpenFlags) -> OpenFlags {
    // Each connection has one user at a time, so SQLite's own mutexes are waste.
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn set_up(conn: &Connection, cache_kib: i64) -> Result<(), StoreError> {
    conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // The schema of a file that somebody tampered with must not run functions with side effects.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    // Nothing of ours outside the data directory.
    conn.pragma_update(None, "temp_store", "memory")?;
    Ok(())
}
