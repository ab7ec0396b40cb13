//! The instance model: what is wanted (`InstanceSpec`, `Desired`), what was observed (`InstanceStatus`), and the view of
//! both that the API serves (`InstanceView`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{InstanceId, InstanceName, Job};

/// The agent software of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentRef {
    /// Which agent, for example `openclaw`.
    pub kind: String,
    /// Exact version, never a range.
    pub version: String,
}

/// Where an instance may connect to, besides the model broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Nowhere.
    #[default]
    Closed,
    /// Public addresses, through the egress door; private, loopback and metadata ranges stay shut.
    Open,
}

/// Limits asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resources {
    /// Memory of all processes together, in bytes.
    pub memory_bytes: u64,
    /// Thousandths of one cpu.
    pub cpus_milli: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl Resources {
    /// The smallest memory limit accepted, in bytes (256 MiB).
    pub const MEMORY_BYTES_MIN: u64 = 256 << 20;
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_bytes: 2 << 30, cpus_milli: 2000, pids: 512 }
    }
}

/// What is wanted of one instance. Changes only by the API; each change raises `generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSpec {
    pub id: InstanceId,
    pub name: InstanceName,
    pub display_name: Option<String>,
    /// Which driver runs it, for example `process`.
    pub driver: String,
    pub agent: AgentRef,
    /// `provider/model`; none means the hub's default.
    pub model: Option<String>,
    pub resources: Resources,
    pub egress: Egress,
    pub labels: BTreeMap<String, String>,
    pub generation: u64,
    pub created_at: Timestamp,
}

/// The state that the owner wants an instance to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    Running,
    Stopped,
    /// To be removed; `data` says whether state and workspace go too.
    Deleted,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Accepted, nothing done yet.
    Pending,
    /// Software and folders are being made ready.
    Preparing,
    /// The process runs; the agent is not ready yet.
    Starting,
    /// Ready for work.
    Running,
    /// The process runs, the agent does not answer as it should.
    Degraded,
    Stopping,
    Stopped,
    /// Given up on; a condition says why. It can be started again or removed.
    Failed,
    Deleting,
}

impl Phase {
    /// The phase as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Preparing => "preparing",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Degraded => "degraded",
            Phase::Stopping => "stopping",
            Phase::Stopped => "stopped",
            Phase::Failed => "failed",
            Phase::Deleting => "deleting",
        }
    }

    /// The contract's older word for "can I use it now?".
    pub fn availability(self) -> Availability {
        match self {
            Phase::Running => Availability::Ready,
            Phase::Pending | Phase::Preparing | Phase::Starting => Availability::Initializing,
            Phase::Degraded | Phase::Failed => Availability::Unreachable,
            Phase::Stopping | Phase::Stopped | Phase::Deleting => Availability::Stopped,
        }
    }

    /// The contract's older word for "does its gateway answer?".
    pub fn gateway(self) -> GatewayState {
        if self == Phase::Running { GatewayState::Ok } else { GatewayState::Unreachable }
    }
}

/// Derived from [`Phase`]; kept because the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    Ready,
    Initializing,
    Unreachable,
    Stopped,
}

/// Derived from [`Phase`]; kept because the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayState {
    Ok,
    Unreachable,
}

/// One aspect of an instance that is true or false, with a reason that does not change its spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Installed`, `Started`, `Ready`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub status: bool,
    /// A stable code in snake case, for example `out_of_memory`.
    pub reason: String,
    /// What happened and what to do, for people.
    pub message: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// Whether one limit holds on this machine, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enforcement {
    /// `memory`, `cpu`, `pids`, `filesystem`, `network`, `syscalls`, …
    pub limit: String,
    pub enforced: bool,
    /// How it is enforced, or why it is not.
    pub reason: String,
}

/// What was observed of one instance. Written by reconcilers only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    pub phase: Phase,
    pub observed_generation: u64,
    pub conditions: Vec<Condition>,
    pub enforced: Vec<Enforcement>,
    pub started_at: Option<Timestamp>,
    pub last_activity_at: Option<Timestamp>,
    /// Starts that ended badly in a row; drives the restart back-off.
    pub failures: u32,
}

impl InstanceStatus {
    /// The status of an instance that was just accepted.
    pub fn pending() -> Self {
        Self {
            phase: Phase::Pending,
            observed_generation: 0,
            conditions: Vec::new(),
            enforced: Vec::new(),
            started_at: None,
            last_activity_at: None,
            failures: 0,
        }
    }

    /// Sets one condition; `since` moves only when the status changes.
    pub fn set_condition(
        &mut self,
        kind: &str,
        status: bool,
        reason: &str,
        message: impl Into<String>,
        now: Timestamp,
    ) {
        let since = match self.conditions.iter().find(|c| c.kind == kind) {
            Some(old) if old.status == status => old.since,
            _ => now,
        };
        self.conditions.retain(|c| c.kind != kind);
        self.conditions.push(Condition {
            kind: kind.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
            since,
        });
    }
}

/// Limits asked for, and which of them hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceReport {
    pub requested: Resources,
    pub enforced: Vec<Enforcement>,
}

/// Where people and programs reach an instance through the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Path on the hub's own address.
    pub url: String,
}

/// Usage since the instance was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// Millionths of a US dollar.
    pub cost_micros: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// One instance as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Instance)]
pub struct InstanceView {
    #[schema(value_type = String)]
    pub id: InstanceId,
    #[schema(value_type = String)]
    pub name: InstanceName,
    pub display_name: Option<String>,
    pub driver: String,
    pub agent: AgentRef,
    pub phase: Phase,
    pub availability: Availability,
    pub gateway: GatewayState,
    pub desired: Desired,
    pub generation: u64,
    pub observed_generation: u64,
    pub conditions: Vec<Condition>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    pub endpoint: EndpointView,
    pub resources: ResourceReport,
    pub egress: Egress,
    pub labels: BTreeMap<String, String>,
    pub model: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_activity_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_cron_at: Option<Timestamp>,
    pub usage: UsageView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
}
