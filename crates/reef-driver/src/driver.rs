//! One way of running instances on one machine.

use std::os::fd::OwnedFd;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use reef_types::{Enforcement, InstanceId};
use serde::{Deserialize, Serialize};

use crate::{BoxIo, DriverError, SecretFile, Workload};

/// What a driver can do on this host, each limit probed, never assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `memory`, `cpu`, `pids`, `filesystem`, `network`, `syscalls`, `identity`.
    pub limits: Vec<Enforcement>,
    /// Whether the hub can open connections to the instance's loopback and listen there.
    pub doors: bool,
}

/// Whether a driver is usable here, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub driver: String,
    pub usable: bool,
    /// Why not, and what to do.
    pub message: String,
    pub capabilities: Capabilities,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The kernel killed it because the memory limit was reached.
    pub out_of_memory: bool,
    /// What the start-up of the sandbox itself complained about, when the program never ran.
    pub setup_error: Option<String>,
}

impl Exit {
    /// One sentence for people.
    pub fn describe(&self) -> String {
        match self {
            Exit { setup_error: Some(text), .. } => format!("the sandbox could not be set up: {text}"),
            Exit { out_of_memory: true, .. } => "it was killed because it used up its memory limit".to_owned(),
            Exit { signal: Some(signal), .. } => format!("it was killed by signal {signal}"),
            Exit { code: Some(code), .. } => format!("it exited with code {code}"),
            _ => "it ended without a status".to_owned(),
        }
    }
}

/// Whether the program of an instance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ProcessState {
    /// There are folders, nothing was started since.
    Absent,
    Running {
        /// Process id of the program as the host sees it.
        pid: u32,
    },
    Exited {
        exit: Exit,
    },
}

/// Resource use now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub memory_bytes: u64,
    pub cpu_usec: u64,
    pub pids: u32,
}

/// What really is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub id: InstanceId,
    /// Generation of the workload that was last started.
    pub generation: u64,
    pub process: ProcessState,
    /// Which limits hold for this very instance.
    pub enforced: Vec<Enforcement>,
    pub usage: Option<Usage>,
}

/// What to do with state, workspace and home when an instance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataPolicy {
    Keep,
    Delete,
}

/// Exactly what a destroy removed and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destroyed {
    pub removed: Vec<String>,
    pub kept: Vec<String>,
}

/// Something changed; look again. Never the source of truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum DriverEvent {
    Changed {
        id: InstanceId,
    },
    /// The stream was cut or overran: look at everything again.
    Resync,
}

/// One line that an instance wrote to standard output or error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// RFC 3339.
    pub at: String,
    /// `stdout`, `stderr` or `reef` (the sandbox's own words).
    pub stream: String,
    pub text: String,
}

/// Which log lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The last so many lines.
    pub tail: usize,
    /// Stay and send what comes.
    pub follow: bool,
}

/// Log lines; ends by itself unless `follow` was asked for.
pub type LogStream = BoxStream<'static, Result<LogLine, DriverError>>;

/// The verbs. All are idempotent, and may be cut off between any two instructions and called again.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The name in `spec.driver`.
    fn kind(&self) -> &'static str;

    /// Probes the host.
    async fn fingerprint(&self) -> Result<Fingerprint, DriverError>;

    /// Makes folders and files. Leaves nothing behind when it fails on a new instance.
    async fn prepare(&self, workload: &Workload) -> Result<(), DriverError>;

    /// Starts the program unless it runs. A running one is left alone, whatever its generation.
    async fn start(&self, workload: &Workload) -> Result<Observed, DriverError>;

    /// Replaces the instance's secret files (in memory only).
    async fn put_secrets(&self, id: InstanceId, secrets: &[SecretFile]) -> Result<(), DriverError>;

    /// What is, now.
    ///
    /// # Errors
    /// `NotFound` when nothing of this instance exists.
    async fn observe(&self, id: InstanceId) -> Result<Observed, DriverError>;

    /// SIGTERM, then after `grace_ms` SIGKILL to all of the sandbox. Returns when nothing of it runs any more.
    async fn stop(&self, id: InstanceId, grace_ms: u64) -> Result<(), DriverError>;

    /// Stops, then removes all traces; with `Keep`, state, workspace, home and logs stay on disk.
    async fn destroy(&self, id: InstanceId, data: DataPolicy) -> Result<Destroyed, DriverError>;

    /// Everything that exists: running, exited, or only folders. For recovery and for finding orphans.
    async fn inventory(&self) -> Result<Vec<Observed>, DriverError>;

    /// Nudges. Ends never; a cut is a `Resync`.
    fn events(&self) -> BoxStream<'static, DriverEvent>;

    fn logs(&self, id: InstanceId, query: LogQuery) -> LogStream;

    /// A TCP connection to a port on the instance's loopback.
    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError>;

    /// The same connection as [`Driver::dial`] opens, as a bare socket that can be handed to another process. `None` when
    /// this driver's connections are not sockets; whoever hands them over must then copy the bytes.
    async fn dial_socket(&self, _id: InstanceId, _port: u16) -> Result<Option<OwnedFd>, DriverError> {
        Ok(None)
    }

    /// A listening TCP socket on the instance's loopback, at one of the workload's `doors`. May be asked for again and
    /// again (after a restart of the hub); it is the same socket.
    async fn door(&self, id: InstanceId, port: u16) -> Result<OwnedFd, DriverError>;
}
