//! What hub and node say to each other, and every limit on it.
//!
//! One connection is one call. Both sides first say [`Hello`]; the hub then sends one [`Request`]. The node answers with
//! one [`Answer`], or, for the streaming verbs, with `Done` once the stream is set up, its items, and `End`. Closing the
//! connection cancels the call. A socket is handed over right after the frame [`Answer::Socket`], with one byte of its
//! own. A frame is a length (four bytes, big endian) and that many bytes of JSON.

pub(crate) mod fd;
pub(crate) mod frame;

#[cfg(test)]
mod tests;

use std::time::Duration;

use reef_driver::{
    DataPolicy, Destroyed, DriverError, DriverEvent, Fingerprint, InstallEvent, LogLine, LogQuery, Observed,
    SecretFile, VersionInfo, Workload,
};
use reef_types::InstanceId;
use serde::{Deserialize, Serialize};

/// Raised by every change that an older peer would not understand. Hub and node come from one build, so there is no
/// negotiation: a mismatch means that one of them was not restarted after an upgrade.
pub const PROTOCOL: u32 = 1;

/// Largest frame, in bytes. Only `prepare`, which carries the files of a workload, comes near it.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Calls served at once. More wait in the socket's backlog until one ends or their own time is up.
pub const CALLS_MAX: usize = 256;

/// Streams (events, logs, installations) among the calls served at once, so that short calls always get through.
pub const STREAMS_MAX: usize = 128;

/// Connections whose bytes the node copies because the driver has no socket to hand over. Each takes two descriptors.
pub const RELAYS_MAX: usize = 256;

/// Time for connecting and the greeting, for both sides.
pub const GREETING_TIME_MAX: Duration = Duration::from_secs(10);

/// Time for writing one answer to a peer that does not read.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Time that running calls get to end when the node is told to stop.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// What `stop` may take beyond the grace that the instance is given.
pub const STOP_TIME_MARGIN: Duration = Duration::from_secs(20);

/// The first frame of the hub. Unknown fields are allowed here and in [`NodeHello`], and there alone: the greeting must
/// be understood across versions, for the message about the mismatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// Version of the program, for messages.
    #[serde(default)]
    pub build: String,
}

impl Hello {
    /// This build's greeting.
    pub fn ours() -> Self {
        Self { protocol: PROTOCOL, build: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// The first frame of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHello {
    pub protocol: u32,
    #[serde(default)]
    pub build: String,
    #[serde(default)]
    pub pid: u32,
    /// Names of the drivers that it has, usable or not.
    #[serde(default)]
    pub drivers: Vec<String>,
    /// Set when the node will not serve this connection.
    #[serde(default)]
    pub refusal: Option<DriverError>,
}

/// The closed list of verbs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Fingerprint { driver: String },
    Prepare { driver: String, workload: Box<Workload> },
    Start { driver: String, workload: Box<Workload> },
    PutSecrets { driver: String, id: InstanceId, secrets: Vec<SecretFile> },
    Observe { driver: String, id: InstanceId },
    Stop { driver: String, id: InstanceId, grace_ms: u64 },
    Destroy { driver: String, id: InstanceId, data: DataPolicy },
    Inventory { driver: String },
    Events { driver: String },
    Logs { driver: String, id: InstanceId, query: LogQuery },
    Dial { driver: String, id: InstanceId, port: u16 },
    Door { driver: String, id: InstanceId, port: u16 },
    Versions {},
    Install { kind: String, version: String },
    Remove { kind: String, version: String },
}

impl Request {
    /// The verb as it is sent, for logs.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Fingerprint { .. } => "fingerprint",
            Request::Prepare { .. } => "prepare",
            Request::Start { .. } => "start",
            Request::PutSecrets { .. } => "put_secrets",
            Request::Observe { .. } => "observe",
            Request::Stop { .. } => "stop",
            Request::Destroy { .. } => "destroy",
            Request::Inventory { .. } => "inventory",
            Request::Events { .. } => "events",
            Request::Logs { .. } => "logs",
            Request::Dial { .. } => "dial",
            Request::Door { .. } => "door",
            Request::Versions {} => "versions",
            Request::Install { .. } => "install",
            Request::Remove { .. } => "remove",
        }
    }

    /// How long the hub waits for the answer before it gives up; for a stream, for it to be set up.
    pub fn time_limit(&self) -> Duration {
        match self {
            Request::Prepare { .. } | Request::Start { .. } => Duration::from_secs(60),
            Request::Stop { grace_ms, .. } => Duration::from_millis(*grace_ms).saturating_add(STOP_TIME_MARGIN),
            // Both delete trees of many files.
            Request::Destroy { .. } | Request::Remove { .. } => Duration::from_secs(120),
            Request::Fingerprint { .. } | Request::Inventory { .. } | Request::Versions {} => Duration::from_secs(30),
            Request::PutSecrets { .. }
            | Request::Observe { .. }
            | Request::Dial { .. }
            | Request::Door { .. }
            | Request::Events { .. }
            | Request::Logs { .. }
            | Request::Install { .. } => Duration::from_secs(10),
        }
    }
}

/// What the node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is done; or, for a stream, it is set up and nothing will be missed from here on.
    Done {},
    Fingerprint {
        fingerprint: Fingerprint,
    },
    Observed {
        observed: Observed,
    },
    Inventory {
        observed: Vec<Observed>,
    },
    Destroyed {
        destroyed: Destroyed,
    },
    Versions {
        versions: Vec<VersionInfo>,
    },
    /// A socket follows, attached to one byte.
    Socket {},
    Event {
        event: DriverEvent,
    },
    Log {
        line: LogLine,
    },
    Install {
        event: InstallEvent,
    },
    /// The stream is complete. A connection that closes without it was cut.
    End {},
    Failed {
        error: DriverError,
    },
}
