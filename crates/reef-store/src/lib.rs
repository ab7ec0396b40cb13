//! What the hub remembers: SQLite files and the vault, in one folder that nobody else may read.
//!
//! The only crate with SQL and with key material at rest. It decides nothing: who may do what is the business of
//! `reef-auth` and the server, and what a row means for the world is the reconcilers'. One file per resource; each adds its
//! calls to [`Store`].

mod audit;
mod database;
mod error;
mod files;
mod instance;
mod job;
mod lock;
mod provider;
mod row;
mod schema;
mod secret;
mod session;
mod setting;
mod store;
mod token;
mod usage;
mod user;
mod vault;

#[cfg(test)]
mod testing;

pub use audit::{AuditEntry, AuditRow};
pub use error::{KeyError, StoreError};
pub use instance::{DesiredChange, InstanceRow};
pub use job::REASON_SUPERSEDED;
pub use provider::{PROVIDER_SCOPE, ProviderRow};
pub use session::SessionRow;
pub use store::Store;
pub use token::TokenRow;
pub use user::UserRow;
