//! Ends of jobs: done, failed, cancelled.

use std::sync::Arc;

use reef_store::InstanceRow;
use reef_types::{Job, JobKind, JobState, Phase};

use super::{pass::Pass, record};
use crate::{
    app::{instance, job},
    hub::Inner,
};

/// The pass's jobs of this kind are done.
pub(super) async fn done(pass: &Pass<'_>, kind: JobKind, message: Option<String>) {
    let jobs: Vec<_> = pass.jobs.iter().filter(|job| job.kind == kind).cloned().collect();
    end(pass.hub, &jobs, JobState::Done, None, message).await;
}

/// The pass's jobs of this kind will not be done, because what is wanted is something else by now.
pub(super) async fn cancelled(pass: &Pass<'_>, kind: JobKind) {
    let jobs: Vec<_> = pass.jobs.iter().filter(|job| job.kind == kind).cloned().collect();
    end(pass.hub, &jobs, JobState::Cancelled, None, None).await;
}

/// The instance is given up on until somebody asks for it again, and so are these jobs.
pub(super) async fn fail(hub: &Arc<Inner>, row: &mut InstanceRow, jobs: &[Job], reason: &str, message: &str) {
    hub.runtimes.unlink(row.spec.id);
    if row.status.phase != Phase::Deleting {
        row.status.phase = Phase::Failed;
    }
    row.status.observed_generation = row.spec.generation;
    row.status.set_condition("Ready", false, reason, message, jiff::Timestamp::now());
    record::status(hub, row).await;
    fail_jobs(hub, jobs, reason, message).await;
}

/// These jobs failed.
pub(super) async fn fail_jobs(hub: &Arc<Inner>, jobs: &[Job], reason: &str, message: &str) {
    end(hub, jobs, JobState::Failed, Some(reason.to_owned()), Some(message.to_owned())).await;
}

async fn end(hub: &Arc<Inner>, jobs: &[Job], state: JobState, reason: Option<String>, message: Option<String>) {
    for open in jobs {
        job::save(hub, Job { state, reason: reason.clone(), message: message.clone(), ..open.clone() }).await;
        if let Some(id) = open.instance_id {
            // Its view named the job.
            instance::announce(hub, id).await;
        }
    }
}
