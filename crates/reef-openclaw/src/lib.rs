//! Everything that is known about OpenClaw: which versions exist and how they are installed, how an instance is configured,
//! and how its gateway is spoken to.
//!
//! No other crate knows the word. This one touches no driver, no database and no HTTP server.

mod chat;
pub mod credential;
mod gateway;
mod handshake;
pub mod install;
mod kind;
pub mod link;
pub mod registry;
pub mod render;
#[cfg(feature = "testing")]
pub mod testing;
pub mod version;

pub use kind::OpenClaw;
