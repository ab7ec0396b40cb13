//! The privileged side of one machine: a server of a closed list of typed verbs over a Unix socket, the hub's client for
//! it, and the store of agent versions.
//!
//! The node does what drivers and installers can do and nothing else: there is no verb that runs a command, reads a file
//! or takes a path. It knows no agent kind, no database and no HTTP, and decides nothing: what should run is the hub's
//! business. Instances outlive it.

mod client;
mod error;
mod lock;
mod peer;
mod server;
mod store;
pub mod wire;

pub use client::{NodeClient, NodeDriver};
pub use error::NodeError;
pub use server::{NodeConfig, Server};
pub use store::versions_dir;
