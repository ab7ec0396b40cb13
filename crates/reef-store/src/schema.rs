//! The embedded migrations. They only grow: an applied one is never edited, its checksum is stored.

use crate::database::{Migration, Schema};

/// `reef.db`.
pub(crate) const MAIN: Schema = Schema {
    name: "main",
    application_id: i32::from_be_bytes(*b"reef"),
    migrations: &[Migration {
        number: 1,
        name: "foundation",
        sql: include_str!("../migrations/main/0001_foundation.sql"),
    }],
};

/// `usage.db`.
pub(crate) const USAGE: Schema = Schema {
    name: "usage",
    application_id: i32::from_be_bytes(*b"reeu"),
    migrations: &[Migration { number: 1, name: "usage", sql: include_str!("../migrations/usage/0001_usage.sql") }],
};
