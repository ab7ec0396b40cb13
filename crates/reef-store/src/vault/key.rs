//! The vault's key file: made once, never written again, refused when it may have leaked or is not the right one.

use std::{fs::File, io, io::Read, io::Write, os::unix::fs::MetadataExt, path::Path};

use rusqlite::Connection;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Cell, KEY_BYTES, Vault, fill_random};
use crate::{KeyError, StoreError, files, row};

const KEY_FILE: &str = "vault.key";
/// Sealed once with the key, so that a wrong key is noticed at the start and not at the first use of a secret.
const CHECK_TEXT: &str = "reef";
const CHECK_CELL: Cell<'_> = Cell { table: "vault", column: "key_check", row: ["1", ""], version: 1 };

/// The key in the folder, if there is one.
pub(crate) fn load(dir: &Path) -> Result<Option<Vault>, StoreError> {
    let path = dir.join(KEY_FILE);
    let mut file = match File::open(&path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io(&path))?,
    };
    let meta = file.metadata().map_err(StoreError::io(&path))?;
    if meta.mode() & files::OTHERS != 0 {
        return Err(KeyError::TooOpen { mode: meta.mode() & 0o777 }.into());
    }
    if meta.len() != KEY_BYTES as u64 {
        return Err(KeyError::Malformed.into());
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut *key).map_err(StoreError::io(&path))?;
    Ok(Some(Vault::new(&key)))
}

/// Brings key and database together: the loaded key must be the database's, and a new one is made only when nothing is
/// lost by it.
pub(crate) fn prepare(dir: &Path, loaded: Option<Vault>, conn: &Connection) -> Result<Vault, StoreError> {
    let check: Option<Vec<u8>> =
        row::query_first(conn, "SELECT key_check FROM vault", (), |row| row::get(row, "key_check"))?;
    let has_secrets = row::exists(conn, "SELECT 1 FROM secrets LIMIT 1", ())?;
    match (loaded, check) {
        (Some(vault), Some(check)) => match vault.open(CHECK_CELL, &check) {
            Ok(_) => Ok(vault),
            Err(_) => Err(KeyError::Mismatch.into()),
        },
        (None, _) if has_secrets => Err(KeyError::Missing.into()),
        (Some(vault), None) => remember(vault, conn),
        (None, _) => remember(create(dir)?, conn),
    }
}

fn remember(vault: Vault, conn: &Connection) -> Result<Vault, StoreError> {
    let check = vault.seal(CHECK_CELL, &SecretString::from(CHECK_TEXT))?;
    conn.execute("INSERT OR REPLACE INTO vault (slot, key_check) VALUES (1, ?1)", [check])?;
    Ok(vault)
}

/// Makes the key. It gets its name only when it is complete on disk; the folder's lock keeps others from doing the same.
fn create(dir: &Path) -> Result<Vault, StoreError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill_random(&mut *key)?;
    let path = dir.join(KEY_FILE);
    let unfinished = path.with_extension("unfinished");
    files::remove_leftover(&unfinished)?;
    let mut file = files::private_file_new(&unfinished)?;
    file.write_all(&*key).map_err(StoreError::io(&unfinished))?;
    files::publish_new(&unfinished, &path, dir)?;
    Ok(Vault::new(&key))
}
