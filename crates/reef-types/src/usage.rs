//! What one call to a language model used.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::InstanceId;

/// How a model call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageOutcome {
    Ok,
    /// The client left before the end; the upstream call was aborted.
    ClientGone,
    UpstreamFailed,
    Refused,
}

/// One model call, as metered by the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRecord {
    pub instance: InstanceId,
    pub provider: String,
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    pub cost_micros: u64,
    pub started_at: Timestamp,
    /// Until the first byte of the answer; none when there was none.
    pub first_byte_ms: Option<u64>,
    pub duration_ms: u64,
    pub outcome: UsageOutcome,
}
