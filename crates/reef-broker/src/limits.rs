//! Every limit of the broker, with its default.

use std::time::Duration;

/// Limits of a broker; those "per tenant" hold for each door.
#[derive(Debug, Clone)]
pub struct BrokerLimits {
    /// Open connections per tenant.
    pub connections_max: usize,
    /// Model calls in progress per tenant.
    pub calls_max: usize,
    /// Until the head of a request is complete; also how long a kept-alive connection may rest.
    pub header_read: Duration,
    /// Without a byte of a request body.
    pub body_idle: Duration,
    /// Size of a request body, in bytes.
    pub request_bytes_max: usize,
    /// Size of all request bodies per tenant that are held at once, in bytes; at least that of one. A body is held until
    /// the head of the provider's answer, in two copies.
    pub request_bytes_at_once_max: usize,
    /// Until a connection to a provider stands.
    pub connect: Duration,
    /// Until the head of a provider's answer.
    pub first_byte: Duration,
    /// Without a byte of a provider's answer. There is no limit on the whole: long answers are the point.
    pub idle: Duration,
    /// How long answers in progress may go on after the door was closed by dropping its handle.
    pub drain: Duration,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            calls_max: 16,
            header_read: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            request_bytes_max: 32 << 20,
            request_bytes_at_once_max: 64 << 20,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(120),
            drain: Duration::from_secs(30),
        }
    }
}
