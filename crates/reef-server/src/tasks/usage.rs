//! Writes down what model calls used, in batches, and keeps the totals that views show.

use std::{sync::Arc, time::Duration};

use reef_broker::UsageSink;
use reef_types::usage::UsageRecord;
use tokio::sync::mpsc;

use crate::hub::Inner;

/// Records waiting to be written. When the disk is slower than this, calls go on and records are lost, with a warning.
const QUEUE_RECORDS_MAX: usize = 4096;
/// Records written in one transaction.
const BATCH_RECORDS_MAX: usize = 256;
/// How long a record may wait for others.
const BATCH_WAIT: Duration = Duration::from_millis(500);

/// The broker's end of the queue.
pub(crate) struct Sink(mpsc::Sender<UsageRecord>);

impl UsageSink for Sink {
    fn record(&self, record: UsageRecord) {
        if self.0.try_send(record).is_err() {
            tracing::warn!("a usage record was lost: the queue is full");
        }
    }
}

pub(crate) fn channel() -> (Sink, mpsc::Receiver<UsageRecord>) {
    let (sender, receiver) = mpsc::channel(QUEUE_RECORDS_MAX);
    (Sink(sender), receiver)
}

pub(crate) fn spawn(hub: Arc<Inner>, mut feed: mpsc::Receiver<UsageRecord>) {
    hub.tasks.clone().spawn(async move {
        let mut batch = Vec::new();
        loop {
            let more = tokio::select! {
                // Not when the hub begins to stop: the answers that it lets end are to be counted too.
                () = hub.drained.cancelled() => false,
                count = feed.recv_many(&mut batch, BATCH_RECORDS_MAX) => count > 0,
            };
            if more {
                tokio::time::sleep(BATCH_WAIT).await;
            }
            while let Ok(record) = feed.try_recv() {
                batch.push(record);
            }
            write(&hub, std::mem::take(&mut batch)).await;
            if !more {
                break;
            }
        }
    });
}

async fn write(hub: &Arc<Inner>, batch: Vec<UsageRecord>) {
    if batch.is_empty() {
        return;
    }
    {
        let mut totals = hub.usage.lock();
        for record in &batch {
            let total = totals.entry(record.instance).or_default();
            total.input_tokens += record.input_tokens;
            total.output_tokens += record.output_tokens;
            total.cost_micros += record.cost_micros;
        }
    }
    let mut touched: Vec<_> = batch.iter().map(|record| record.instance).collect();
    touched.sort_unstable();
    touched.dedup();
    if let Err(err) = hub.store.usage_append(batch).await {
        tracing::error!(error = %err, "usage was not written down");
    }
    for id in touched {
        crate::app::instance::touched(hub, id).await;
    }
}
