//! The record of one model call: written exactly once, however the call ends.

use std::sync::Arc;

use jiff::Timestamp;
use reef_types::{
    InstanceId,
    usage::{UsageOutcome, UsageRecord},
};
use tokio::time::Instant;

/// Takes the records of finished calls.
pub trait UsageSink: Send + Sync {
    /// Must not block: it is called from the path of the answers.
    fn record(&self, record: UsageRecord);
}

/// Tokens of one call, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Measures one call. Dropped without `finish`, it records that the client left.
pub(crate) struct Meter {
    record: Option<UsageRecord>,
    sink: Arc<dyn UsageSink>,
    started: Instant,
}

impl Meter {
    pub(crate) fn start(sink: Arc<dyn UsageSink>, instance: InstanceId, provider: &str, model: &str) -> Self {
        let record = UsageRecord {
            instance,
            provider: provider.to_owned(),
            model: model.to_owned(),
            input_tokens: 0,
            output_tokens: 0,
            cost_micros: 0,
            started_at: Timestamp::now(),
            first_byte_ms: None,
            duration_ms: 0,
            outcome: UsageOutcome::ClientGone,
        };
        Self { record: Some(record), sink, started: Instant::now() }
    }

    /// A part of the answer has come.
    pub(crate) fn byte_seen(&mut self) {
        let elapsed = self.elapsed_ms();
        if let Some(record) = &mut self.record {
            record.first_byte_ms.get_or_insert(elapsed);
        }
    }

    pub(crate) fn set(&mut self, tokens: Tokens) {
        if let Some(record) = &mut self.record {
            (record.input_tokens, record.output_tokens) = (tokens.input, tokens.output);
        }
    }

    /// The call is over.
    pub(crate) fn finish(&mut self, outcome: UsageOutcome) {
        let elapsed = self.elapsed_ms();
        if let Some(mut record) = self.record.take() {
            record.outcome = outcome;
            record.duration_ms = elapsed;
            self.sink.record(record);
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.finish(UsageOutcome::ClientGone);
    }
}
