//! People. There is one owner; the database itself holds no second one.

use jiff::Timestamp;
use reef_types::UserId;
use rusqlite::{Row, params};
use secrecy::SecretString;

use crate::{
    AuditEntry, Store, StoreError, audit,
    row::{execute, exists, get, parsed, query_first, time, time_ns},
};

/// One person.
#[derive(Debug, Clone)]
pub struct UserRow {
    pub id: UserId,
    /// Unique without regard to the case of ASCII letters.
    pub name: String,
    /// The argon2id hash in PHC form; not a secret that opens anything, but nothing to print either.
    pub password_phc: SecretString,
    pub created_at: Timestamp,
}

impl Store {
    /// Whether the hub has an owner, that is, whether it was set up.
    pub async fn owner_exists(&self) -> Result<bool, StoreError> {
        self.read(|tx| exists(tx, "SELECT 1 FROM users WHERE role = 'owner'", ())).await
    }

    /// The owner.
    pub async fn owner_get(&self) -> Result<Option<UserRow>, StoreError> {
        self.read(|tx| query_first(tx, "SELECT * FROM users WHERE role = 'owner'", (), read)).await
    }

    /// Makes the owner; `Conflict` when there is one. Of two at once, one wins.
    pub async fn owner_create(
        &self,
        name: String,
        password_phc: String,
        audit: AuditEntry,
    ) -> Result<UserRow, StoreError> {
        self.write(move |tx| {
            if exists(tx, "SELECT 1 FROM users WHERE role = 'owner'", ())? {
                return Err(StoreError::Conflict);
            }
            let now = Timestamp::now();
            let id = UserId::new();
            execute(
                tx,
                "INSERT INTO users (id, name, role, password_phc, created_at_ns) VALUES (?1, ?2, 'owner', ?3, ?4)",
                params![id.to_string(), name, password_phc, time_ns(now)],
            )?;
            audit::append(tx, &audit, now)?;
            Ok(UserRow { id, name, password_phc: password_phc.into(), created_at: now })
        })
        .await
    }

    /// One person by name, without regard to the case of ASCII letters.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        let name = name.to_owned();
        self.read(move |tx| query_first(tx, "SELECT * FROM users WHERE name = ?1", [name], read)).await
    }

    /// One person.
    pub async fn user_get(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        self.read(move |tx| query_first(tx, "SELECT * FROM users WHERE id = ?1", [id.to_string()], read)).await
    }
}

fn read(row: &Row<'_>) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        id: parsed(row, "id")?,
        name: get(row, "name")?,
        password_phc: SecretString::from(get::<String>(row, "password_phc")?),
        created_at: time(row, "created_at_ns")?,
    })
}
