//! HTTP plumbing that belongs to no resource: listeners, request ids, authentication, selectors, error bodies.

pub(crate) mod authenticate;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod gate;
pub(crate) mod impatient;
pub(crate) mod known;
pub(crate) mod listener;
pub(crate) mod origin;
pub(crate) mod revoke;
pub(crate) mod sse;
