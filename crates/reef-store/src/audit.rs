//! The audit log: who did what, append-only.

use jiff::Timestamp;
use reef_types::AuditId;
use rusqlite::{Connection, Row, params};

use crate::{
    Store, StoreError,
    row::{execute, get, parsed, query_all, time, time_ns},
};

/// What happened; the store adds id and time. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who: `owner:ada session:ses_…`.
    pub actor: String,
    /// What: `instance.create`.
    pub action: String,
    /// On what: an id, or the name of a collection.
    pub resource: String,
    pub request_id: String,
    pub detail: String,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: AuditId,
    pub at: Timestamp,
    pub entry: AuditEntry,
}

impl Store {
    /// Records something that changes nothing else, such as a sign-in or a secret that was shown.
    pub async fn audit_append(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| append(tx, &entry, Timestamp::now())).await
    }

    /// The newest rows, newest first.
    pub async fn audit_list(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str = "SELECT * FROM audit ORDER BY at_ns DESC, id DESC LIMIT ?1";
        self.read(move |tx| query_all(tx, SQL, [limit], read)).await
    }
}

/// Adds a row within the transaction of the change that it tells of.
pub(crate) fn append(conn: &Connection, entry: &AuditEntry, now: Timestamp) -> Result<(), StoreError> {
    execute(
        conn,
        "INSERT INTO audit (id, at_ns, actor, action, resource, request_id, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            AuditId::new().to_string(),
            time_ns(now),
            entry.actor,
            entry.action,
            entry.resource,
            entry.request_id,
            entry.detail,
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: parsed(row, "id")?,
        at: time(row, "at_ns")?,
        entry: AuditEntry {
            actor: get(row, "actor")?,
            action: get(row, "action")?,
            resource: get(row, "resource")?,
            request_id: get(row, "request_id")?,
            detail: get(row, "detail")?,
        },
    })
}
