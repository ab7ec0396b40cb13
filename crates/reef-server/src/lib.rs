//! The hub: everything that people and the network touch.
//!
//! Layers, top down, each with one file per resource: `api` (thin handlers) → `app` (what is done) → the store and the
//! nudges; `tasks` (reconcilers) alone call drivers and agents. Nothing here holds an engine socket, and nothing here
//! knows a concrete driver or agent: the binary puts those in.

mod api;
mod app;
mod bus;
mod chat;
mod config;
mod http;
mod hub;
mod routes;
mod runtime;
mod tasks;
mod ui;

pub use api::openapi;
pub use config::{HubConfig, Pacing};
pub use http::listener::{ListenerLimits, serve_tcp, serve_unix};
pub use hub::{Hub, HubError, HubParts};
