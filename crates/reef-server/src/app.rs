//! What the hub does, one file per resource: validates, writes what is wanted and an audit row in one transaction, nudges
//! a reconciler, answers. Nothing here calls a driver to change anything.

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod chat;
pub(crate) mod instance;
pub(crate) mod instance_secret;
pub(crate) mod job;
pub(crate) mod provider;
pub(crate) mod setup;
pub(crate) mod system;
pub(crate) mod token;
