//! API tokens, found by their SHA-256, and the one setup code.

use jiff::Timestamp;
use reef_types::{TokenId, UserId};
use rusqlite::{Row, params};

use crate::{
    AuditEntry, Store, StoreError, audit,
    row::{execute, get, json, json_text, parsed, query_all, query_first, time, time_ns, time_opt},
};

/// How exact `last_used_at` is, in nanoseconds: a minute, so that requests do not turn into a write each.
const TOUCH_EVERY_NS: i64 = 60_000_000_000;

/// One API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    /// For people; need not be unique.
    pub name: String,
    /// SHA-256 of the token's text.
    pub hash: [u8; 32],
    pub user: UserId,
    /// As the policy spells them.
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl Store {
    /// Records a new token and who made it.
    pub async fn token_create(&self, row: TokenRow, audit: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| {
            execute(
                tx,
                "INSERT INTO tokens (id, name, hash, user_id, scopes, created_at_ns, expires_at_ns, last_used_at_ns)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    row.id.to_string(),
                    row.name,
                    row.hash,
                    row.user.to_string(),
                    json_text(&row.scopes)?,
                    time_ns(row.created_at),
                    row.expires_at.map(time_ns),
                    row.last_used_at.map(time_ns),
                ],
            )?;
            audit::append(tx, &audit, Timestamp::now())
        })
        .await
    }

    /// The token of a hash if it has not expired.
    pub async fn token_by_hash(&self, hash: [u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        const SQL: &str = "SELECT * FROM tokens WHERE hash = ?1 AND (expires_at_ns IS NULL OR expires_at_ns > ?2)";
        self.read(move |tx| query_first(tx, SQL, params![hash, time_ns(Timestamp::now())], read)).await
    }

    /// All tokens, also expired ones, newest first.
    pub async fn token_list(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|tx| query_all(tx, "SELECT * FROM tokens ORDER BY created_at_ns DESC, id DESC", (), read)).await
    }

    /// Revokes a token; whether there was one. Nothing is audited when there was none.
    pub async fn token_delete(&self, id: TokenId, audit: AuditEntry) -> Result<bool, StoreError> {
        self.revoke(move |tx| {
            let gone = execute(tx, "DELETE FROM tokens WHERE id = ?1", [id.to_string()])? > 0;
            if gone {
                audit::append(tx, &audit, Timestamp::now())?;
            }
            Ok(gone)
        })
        .await
    }

    /// Records that a token was used, at most once a minute.
    pub async fn token_touch(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tokens SET last_used_at_ns = ?2
             WHERE id = ?1 AND (last_used_at_ns IS NULL OR last_used_at_ns <= ?2 - ?3)";
        let params = (id.to_string(), time_ns(now), TOUCH_EVERY_NS);
        self.write(move |tx| execute(tx, SQL, params).map(drop)).await
    }

    /// Makes this the only valid setup code.
    pub async fn setup_code_put(&self, hash: [u8; 32], expires: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO setup_code (slot, hash, expires_at_ns) VALUES (1, ?1, ?2)";
        self.write(move |tx| execute(tx, SQL, params![hash, time_ns(expires)]).map(drop)).await
    }

    /// Uses the setup code up; whether it was the valid one. Of two at once, one gets it.
    pub async fn setup_code_take(&self, hash: [u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM setup_code WHERE hash = ?1 AND expires_at_ns > ?2";
        self.write(move |tx| Ok(execute(tx, SQL, params![hash, time_ns(now)])? > 0)).await
    }
}

fn read(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: parsed(row, "id")?,
        name: get(row, "name")?,
        hash: get(row, "hash")?,
        user: parsed(row, "user_id")?,
        scopes: json(row, "scopes")?,
        created_at: time(row, "created_at_ns")?,
        expires_at: time_opt(row, "expires_at_ns")?,
        last_used_at: time_opt(row, "last_used_at_ns")?,
    })
}

#[cfg(test)]
mod tests;
