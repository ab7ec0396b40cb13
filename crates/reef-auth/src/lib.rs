//! Who may do what: passwords, tokens, actors, the policy table, and the checks against forged requests.
//!
//! Pure: no database, no HTTP framework, no clock of its own. What is stored and what is asked for comes in as values, and
//! answers go out as values, so that every rule here can be read and tested by itself.

pub mod actor;
pub mod attempts;
pub mod cookie;
pub mod origin;
pub mod password;
pub mod policy;
pub mod token;

pub use actor::{Actor, Via};
pub use policy::{Action, Denied, Scope, Scopes};
