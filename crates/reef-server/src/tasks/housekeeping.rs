//! Throws away what nobody needs any more: ended sessions, old jobs.

use std::{sync::Arc, time::Duration};

use crate::hub::Inner;

const PERIOD: Duration = Duration::from_secs(3600);
/// Settled jobs that are kept.
const JOBS_KEPT: u32 = 500;

pub(crate) fn spawn(hub: Arc<Inner>) {
    hub.tasks.clone().spawn(async move {
        loop {
            if let Err(err) = hub.store.session_delete_expired(jiff::Timestamp::now()).await {
                tracing::warn!(error = %err, "ended sessions were not removed");
            }
            if let Err(err) = hub.store.job_prune(JOBS_KEPT).await {
                tracing::warn!(error = %err, "old jobs were not removed");
            }
            tokio::select! {
                () = hub.stopping.cancelled() => break,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}
