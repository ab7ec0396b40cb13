//! Model providers. Their keys are in the vault and leave it only by name.

use jiff::Timestamp;
use rusqlite::{Row, params};
use secrecy::SecretString;

use crate::{
    AuditEntry, Store, StoreError, audit,
    row::{execute, exists, get, json, json_text, query_all, time, time_ns},
    secret,
};

/// The vault scope of provider keys; the secret's name is the provider's.
pub const PROVIDER_SCOPE: &str = "provider";

/// One model provider, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRow {
    pub name: String,
    /// Which protocol it speaks.
    pub kind: String,
    pub base_url: String,
    pub models: Vec<String>,
    pub created_at: Timestamp,
}

impl Store {
    /// All providers, by name.
    pub async fn provider_list(&self) -> Result<Vec<ProviderRow>, StoreError> {
        self.read(|tx| query_all(tx, "SELECT * FROM providers ORDER BY name", (), read)).await
    }

    /// Adds a provider and its key; `Conflict` when there is one of this name.
    pub async fn provider_put(&self, row: ProviderRow, key: SecretString, audit: AuditEntry) -> Result<(), StoreError> {
        let vault = self.vault();
        self.write(move |tx| {
            if exists(tx, "SELECT 1 FROM providers WHERE name = ?1", [&row.name])? {
                return Err(StoreError::Conflict);
            }
            execute(
                tx,
                "INSERT INTO providers (name, kind, base_url, models, created_at_ns) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.name, row.kind, row.base_url, json_text(&row.models)?, time_ns(row.created_at)],
            )?;
            secret::put(tx, &vault, PROVIDER_SCOPE, &row.name, &key)?;
            audit::append(tx, &audit, Timestamp::now())
        })
        .await
    }

    /// Removes a provider and its key; whether there was one. Nothing is audited when there was none.
    pub async fn provider_delete(&self, name: &str, audit: AuditEntry) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let gone = execute(tx, "DELETE FROM providers WHERE name = ?1", [&name])? > 0;
            if gone {
                secret::delete(tx, PROVIDER_SCOPE, &name)?;
                audit::append(tx, &audit, Timestamp::now())?;
            }
            Ok(gone)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<ProviderRow, StoreError> {
    Ok(ProviderRow {
        name: get(row, "name")?,
        kind: get(row, "kind")?,
        base_url: get(row, "base_url")?,
        models: json(row, "models")?,
        created_at: time(row, "created_at_ns")?,
    })
}

#[cfg(test)]
mod tests;
