//! Jobs: long work with progress and cancel.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{InstanceId, JobId};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Brings an instance to the state `running`.
    InstanceStart,
    InstanceStop,
    InstanceDelete,
    /// Puts an agent version into the version store.
    AgentInstall,
    AgentRemove,
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl JobState {
    /// Whether the job will never change again.
    pub fn is_settled(self) -> bool {
        matches!(self, JobState::Done | JobState::Failed | JobState::Cancelled)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done now, for people: `Downloading Node 24.21.0`.
    pub step: String,
    /// Units done of this step.
    pub done: u64,
    /// Units of this step in all; 0 when nobody knows.
    pub total: u64,
    /// `bytes`, `packages`, `steps`; empty when there is nothing to count.
    pub unit: String,
}

impl Progress {
    /// A step without a count.
    pub fn step(step: impl Into<String>) -> Self {
        Self { step: step.into(), ..Self::default() }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    #[schema(value_type = String)]
    pub id: JobId,
    pub kind: JobKind,
    pub state: JobState,
    #[schema(value_type = Option<String>)]
    pub instance_id: Option<InstanceId>,
    pub progress: Progress,
    /// Stable code of the failure, when `state` is `failed`.
    pub reason: Option<String>,
    /// What went wrong and what to do, when `state` is `failed`.
    pub message: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
