//! Every limit of the forwarder, with its default.

use std::time::Duration;

/// Limits of one forwarder.
#[derive(Debug, Clone)]
pub struct ForwardLimits {
    /// Until a connection into the instance stands.
    pub connect: Duration,
    /// From the last byte of the request to the head of the response.
    pub first_byte: Duration,
    /// Without a byte of the response body; event streams are exempt.
    pub idle: Duration,
    /// Size of a request body, in bytes.
    pub request_body_bytes_max: u64,
    /// Requests in flight per instance.
    pub requests_per_instance_max: usize,
    /// WebSockets per instance.
    pub sockets_per_instance_max: usize,
    /// Kept-alive connections per instance.
    pub idle_connections_per_instance_max: usize,
    /// How long a kept-alive connection may rest.
    pub idle_connection: Duration,
    /// Until both sides of a WebSocket have finished the handshake.
    pub handshake: Duration,
    /// Without a byte accepted by the receiving side of a WebSocket that has something to receive.
    pub stall: Duration,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            request_body_bytes_max: 64 << 20,
            requests_per_instance_max: 256,
            sockets_per_instance_max: 64,
            idle_connections_per_instance_max: 64,
            // Below the five seconds after which a Node server closes a resting connection.
            idle_connection: Duration::from_secs(4),
            handshake: Duration::from_secs(15),
            stall: Duration::from_secs(30),
        }
    }
}
