//! Test doubles that need more than one crate: a whole hub in a temporary directory, and the agents that it talks to.
//!
//! A dev-dependency only.

mod agent;
mod client;
mod events;
mod gateway;
mod hub;

pub use agent::FakeAgent;
pub use client::{Answer, Client};
pub use events::{Event, Events};
pub use gateway::FakeGateway;
pub use hub::{PASSWORD, PATIENCE, Settings, TestHub};
