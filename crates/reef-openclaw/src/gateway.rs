//! The gateway's WebSocket protocol, version 4: frames, the handshake, one connection, typed calls.
//!
//! Nothing here keeps a connection alive or knows what a conversation looks like; that is `link` and `chat`.

pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod methods;
pub(crate) mod ready;
pub(crate) mod rpc;
pub(crate) mod secrets;
pub(crate) mod socket;

pub(crate) use crate::render::GATEWAY_PORT;

/// The only protocol version that this client and the supported gateways share.
pub(crate) const PROTOCOL: u64 = 4;

/// The longest message in either direction after authentication, in bytes; the gateway's own limit.
pub(crate) const FRAME_BYTES_MAX: usize = 25 << 20;

/// The longest message before authentication, in bytes; the gateway's own limit.
pub(crate) const PREAUTH_FRAME_BYTES_MAX: usize = 64 << 10;
