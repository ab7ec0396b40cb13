//! The data plane: carries HTTP and WebSocket traffic between people and instances, and lets instances out.
//!
//! It reads an immutable snapshot of routes and nothing else of the control plane: no database, no lock shared with it,
//! no driver call per request beyond the dial itself. It knows no HTTP framework and no agent kind; whoever calls it has
//! already decided who may reach which instance.

pub mod body;
pub mod egress;
mod error;
mod forward;
mod headers;
pub mod limits;
mod location;
pub mod path;
mod peer;
pub mod routes;
pub mod selector;
#[cfg(test)]
mod testing;
mod upload;
mod websocket;

pub use body::ForwardBody;
pub use egress::{Egress, EgressPolicy};
pub use error::error_response;
pub use forward::{Active, Forwarder, RequestContext};
pub use limits::ForwardLimits;
pub use routes::{Route, RouteState, Routes};
pub use selector::{Selection, select};
pub use websocket::Revocation;
