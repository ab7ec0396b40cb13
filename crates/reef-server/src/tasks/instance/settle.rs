//! Ends of jobs: done, failed.

use std::sync::Arc;

use reef_store::InstanceRow;
use reef_types::{InstanceId, JobKind, JobState, Phase};

use super::record;
use crate::{app::job, hub::Inner};

/// The open jobs of this kind on this instance are done.
pub(super) async fn done(hub: &Arc<Inner>, id: InstanceId, kind: JobKind, message: Option<String>) {
    for mut open in job::open_of(hub, id).await {
        if open.kind == kind {
            open.state = JobState::Done;
            open.message.clone_from(&message);
            job::save(hub, open).await;
        }
    }
}

/// The instance is given up on until somebody asks for it again, and so are its open jobs.
pub(super) async fn fail(hub: &Arc<Inner>, row: &mut InstanceRow, reason: &str, message: &str) {
    hub.runtimes.unlink(row.spec.id);
    if row.status.phase != Phase::Deleting {
        row.status.phase = Phase::Failed;
    }
    row.status.observed_generation = row.spec.generation;
    row.status.set_condition("Ready", false, reason, message, jiff::Timestamp::now());
    record::status(hub, row).await;
    for mut open in job::open_of(hub, row.spec.id).await {
        open.state = JobState::Failed;
        open.reason = Some(reason.to_owned());
        open.message = Some(message.to_owned());
        job::save(hub, open).await;
    }
}
