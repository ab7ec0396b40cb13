//! Why the store refused or failed. Texts never hold stored values, so that they may be logged.

use std::{io, path::Path};

use rusqlite::ErrorCode;

/// What went wrong with the vault's key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("vault.key is missing, and without it the stored secrets cannot be read: restore it from a backup")]
    Missing,
    #[error("vault.key is not the key that the stored secrets were written with")]
    Mismatch,
    #[error("vault.key is damaged: it must hold exactly 32 bytes")]
    Malformed,
    #[error("vault.key can be read by others (mode {mode:03o}): check who had access, then run `chmod 600` on it")]
    TooOpen { mode: u32 },
    #[error("the operating system gave no random numbers")]
    NoRandom,
}

/// Why a call of the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory; `pid` is 0 when it did not leave its number.
    #[error("the data directory is in use by another process (pid {pid})")]
    Locked { pid: u32 },
    #[error("an instance of this name exists")]
    NameInUse,
    #[error("there is no such row")]
    NotFound,
    /// The change does not fit what is stored: it exists already, or the state forbids it.
    #[error("the change conflicts with what is stored")]
    Conflict,
    /// What is stored is not what the store wrote.
    #[error("the stored data is damaged: {what}")]
    Corrupt { what: String },
    #[error("the disk is full")]
    Full,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the data was written by a newer version (schema {found}, this version knows {known})")]
    NewerSchema { found: u32, known: u32 },
    #[error("migration {number} is not the one that the data was made with")]
    MigrationChanged { number: u32 },
    /// After `close`, or when the writer thread ended.
    #[error("the store is closed")]
    Closed,
    #[error("cannot access {path}")]
    Io { path: String, source: io::Error },
    #[error("the database refused a statement")]
    Sqlite(#[source] rusqlite::Error),
}

impl StoreError {
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { path, source },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(err: rusqlite::Error) -> Self {
        match err.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::corrupt("the file is not a database"),
            _ => match err {
                rusqlite::Error::InvalidColumnType(_, name, _) => Self::corrupt(format!("type of column {name}")),
                err => Self::Sqlite(err),
            },
        }
    }
}
