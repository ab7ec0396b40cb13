//! Settings of the hub that are changed while it runs. Never a secret: those go into the vault.

use crate::{
    Store, StoreError,
    row::{execute, get, query_first},
};

impl Store {
    /// One setting, if it was ever set.
    pub async fn setting_get(&self, key: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT value FROM settings WHERE key = ?1";
        let key = key.to_owned();
        self.read(move |tx| query_first(tx, SQL, [key], |row| get(row, "value"))).await
    }

    /// Sets a setting.
    pub async fn setting_put(&self, key: &str, value: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)";
        let pair = [key.to_owned(), value.to_owned()];
        self.write(move |tx| execute(tx, SQL, pair).map(drop)).await
    }
}
