//! What goes into the shim and what comes out of it: plain data, no behaviour.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use reef_types::Enforcement;
use serde::{Deserialize, Serialize};

use crate::{cgroup::Cgroup, error::SetupError, process::ProcessRef};

/// The largest frame accepted on standard input, in bytes.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;
/// uid and gid of the program as it sees itself.
pub const AGENT_UID: u32 = 1000;
/// Where the secrets are inside the sandbox.
pub const SECRETS_PATH: &str = "/run/reef";
/// The socket of a running shim, in its run folder.
pub const DOOR_SOCKET: &str = "door.sock";
/// What a running shim says about itself, in its run folder.
pub const RUN_RECORD: &str = "shim.json";
/// How the last run ended, in its run folder.
pub const EXIT_RECORD: &str = "exit.json";
/// The newest log file, in the log folder; older ones have `.1`, `.2` appended.
pub const LOG_FILE: &str = "agent.log";

/// One order to the shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "mode")]
pub enum ShimSpec {
    /// Put up every wall around nothing, and report.
    Probe,
    /// Run a short-lived program that ends with its parent and shares the host's network.
    Task(TaskSpec),
    /// Run a program that outlives its parent, with a network of its own.
    Instance(InstanceSpec),
}

/// What every sandboxed program has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramSpec {
    pub hostname: String,
    /// uid and gid on the host, when the shim runs as root; an ordinary user's sandboxes run as that user.
    pub host_uid: u32,
    /// Program (absolute, inside the sandbox) and arguments.
    pub argv: Vec<String>,
    /// The complete environment.
    pub env: BTreeMap<String, String>,
    pub cwd: String,
    pub mounts: Vec<Mount>,
    pub limits: Limits,
    /// Name of the cgroup; one path component.
    pub cgroup: String,
}

/// A folder or file of the host that is visible inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub host: PathBuf,
    /// Absolute, without `..`.
    pub sandbox: PathBuf,
    pub writable: bool,
}

/// Limits for all processes of a sandbox together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    pub memory_bytes: u64,
    /// Thousandths of one cpu.
    pub cpus_milli: u32,
    pub pids: u32,
}

/// A program of an installer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    pub program: ProgramSpec,
}

/// A program that runs until it is stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSpec {
    pub program: ProgramSpec,
    pub generation: u64,
    /// Ports on the sandbox's loopback that are listened at before the program starts.
    pub doors: Vec<u16>,
    pub run_dir: PathBuf,
    pub log_dir: PathBuf,
}

/// A file below [`SECRETS_PATH`], in memory only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// A plain file name.
    pub name: String,
    pub value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the shim writes back on its standard input, one JSON object per line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "report", content = "value")]
pub enum Report {
    /// The program was executed (or, for a probe, could have been).
    Started(RunRecord),
    /// It was not; nothing is left running.
    Failed(SetupError),
    /// A task ended.
    Exited(ExitRecord),
}

/// A running sandbox, written to [`RUN_RECORD`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    pub shim: ProcessRef,
    /// First process inside, as the host sees it.
    pub init: ProcessRef,
    pub generation: u64,
    pub enforced: Vec<Enforcement>,
    pub cgroup: Cgroup,
}

/// How a program ended, written to [`EXIT_RECORD`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRecord {
    pub generation: u64,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out_of_memory: bool,
    pub setup_error: Option<String>,
}

/// A request to a running shim: one packet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "ask")]
pub enum KeeperRequest {
    /// A connection to a port inside; the answer carries the socket.
    Dial { port: u16 },
    /// The listening socket of a door; the answer carries a duplicate.
    Door { port: u16 },
    /// Replaces all secret files.
    Secrets { secrets: Vec<Secret> },
    /// SIGTERM now, SIGKILL to all after the grace.
    #[serde(rename_all = "camelCase")]
    Stop { grace_ms: u64 },
    /// Whether the program still runs; any answer means yes.
    Status,
}

/// The answer to a [`KeeperRequest`]: one packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum KeeperReply {
    Ok,
    Refused { error: KeeperError, message: String },
}

/// Why a shim refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeeperError {
    /// Not a request, or not with these values.
    Invalid,
    /// There is no such door.
    NotFound,
    /// Nobody listens at that port, or does not accept in time.
    Unavailable,
    /// The host refused.
    Failed,
}
