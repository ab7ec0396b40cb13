//! Named secrets. The scope of an instance's secrets is the text of its id.

use rusqlite::{Connection, params};
use secrecy::SecretString;

use crate::{
    Store, StoreError,
    row::{count, execute, get, query_first, unsigned},
    vault::{Cell, Vault},
};

impl Store {
    /// Stores a secret, over an older one of the same name.
    pub async fn secret_put(&self, scope: &str, name: &str, value: SecretString) -> Result<(), StoreError> {
        let (vault, scope, name) = (self.vault(), scope.to_owned(), name.to_owned());
        self.write(move |tx| put(tx, &vault, &scope, &name, &value)).await
    }

    /// One secret; `Corrupt` when its row was changed by somebody else.
    pub async fn secret_get(&self, scope: &str, name: &str) -> Result<Option<SecretString>, StoreError> {
        const SQL: &str = "SELECT version, value FROM secrets WHERE scope = ?1 AND name = ?2";
        let (vault, scope, name) = (self.vault(), scope.to_owned(), name.to_owned());
        self.read(move |tx| {
            query_first(tx, SQL, [&scope, &name], |row| {
                let envelope: Vec<u8> = get(row, "value")?;
                vault.open(cell(&scope, &name, unsigned(row, "version")?), &envelope)
            })
        })
        .await
    }

    /// Removes a secret, if there is one.
    pub async fn secret_delete(&self, scope: &str, name: &str) -> Result<(), StoreError> {
        let (scope, name) = (scope.to_owned(), name.to_owned());
        self.write(move |tx| delete(tx, &scope, &name)).await
    }

    /// Removes all secrets of a scope.
    pub async fn secret_delete_scope(&self, scope: &str) -> Result<(), StoreError> {
        let scope = scope.to_owned();
        self.write(move |tx| delete_scope(tx, &scope)).await
    }
}

pub(crate) fn put(
    conn: &Connection,
    vault: &Vault,
    scope: &str,
    name: &str,
    value: &SecretString,
) -> Result<(), StoreError> {
    let stored =
        query_first(conn, "SELECT version FROM secrets WHERE scope = ?1 AND name = ?2", [scope, name], |row| {
            unsigned::<u64>(row, "version")
        })?;
    let version = stored.unwrap_or(0) + 1;
    let envelope = vault.seal(cell(scope, name, version), value)?;
    execute(
        conn,
        "INSERT OR REPLACE INTO secrets (scope, name, version, value) VALUES (?1, ?2, ?3, ?4)",
        params![scope, name, count(version), envelope],
    )?;
    Ok(())
}

pub(crate) fn delete(conn: &Connection, scope: &str, name: &str) -> Result<(), StoreError> {
    execute(conn, "DELETE FROM secrets WHERE scope = ?1 AND name = ?2", [scope, name]).map(drop)
}

pub(crate) fn delete_scope(conn: &Connection, scope: &str) -> Result<(), StoreError> {
    execute(conn, "DELETE FROM secrets WHERE scope = ?1", [scope]).map(drop)
}

fn cell<'a>(scope: &'a str, name: &'a str, version: u64) -> Cell<'a> {
    Cell { table: "secrets", column: "value", row: [scope, name], version }
}

#[cfg(test)]
mod tests;
