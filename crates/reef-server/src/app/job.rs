//! Jobs: reading, saving, cancelling.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reef_store::{AuditEntry, DesiredChange, StoreError};
use reef_types::{ApiError, Desired, ErrorCode, InstanceId, Job, JobId, JobKind, JobState, Progress};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{bus::HubEvent, http::error::Outcome, hub::Inner};

/// Progress is stored and published at most this often per job.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What the hub remembers of jobs in memory only.
#[derive(Default)]
pub(crate) struct JobDesk {
    cancels: Mutex<HashMap<JobId, CancellationToken>>,
    saved_at: Mutex<HashMap<JobId, Instant>>,
}

impl JobDesk {
    /// Cancelled when somebody cancels the job.
    pub(crate) fn cancel_token(&self, id: JobId) -> CancellationToken {
        self.cancels.lock().entry(id).or_default().clone()
    }

    fn is_due(&self, id: JobId) -> bool {
        let now = Instant::now();
        let mut saved = self.saved_at.lock();
        match saved.get(&id) {
            Some(at) if now - *at < PROGRESS_EVERY => false,
            _ => {
                saved.insert(id, now);
                true
            }
        }
    }

    fn forget(&self, id: JobId) {
        self.cancels.lock().remove(&id);
        self.saved_at.lock().remove(&id);
    }
}

/// A job that was just asked for.
pub(crate) fn new(kind: JobKind, instance_id: Option<InstanceId>) -> Job {
    let now = jiff::Timestamp::now();
    Job {
        id: JobId::new(),
        kind,
        state: JobState::Queued,
        instance_id,
        progress: Progress::step("Queued"),
        reason: None,
        message: None,
        created_at: now,
        updated_at: now,
    }
}

/// Open jobs of one instance.
pub(crate) async fn open_of(hub: &Inner, id: InstanceId) -> Vec<Job> {
    match hub.store.job_open().await {
        Ok(jobs) => jobs.into_iter().filter(|job| job.instance_id == Some(id)).collect(),
        Err(err) => {
            tracing::error!(error = %err, "jobs could not be read");
            Vec::new()
        }
    }
}

/// Stores and publishes a job.
pub(crate) async fn save(hub: &Inner, mut job: Job) {
    job.updated_at = jiff::Timestamp::now();
    let id = job.id;
    if let Err(err) = hub.store.job_update(job).await {
        tracing::error!(job = %id, error = %err, "the job could not be written down");
    }
    announce(hub, id).await;
}

/// Tells everybody who listens how the job is now. It may have been settled in the meantime, whatever was just saved.
pub(crate) async fn announce(hub: &Inner, id: JobId) {
    let _turn = hub.telling.lock().await;
    match hub.store.job_get(id).await {
        Ok(Some(job)) => {
            if job.state.is_settled() {
                hub.jobs.forget(id);
            }
            hub.bus.publish(&HubEvent::Job(&job));
        }
        Ok(None) => {}
        Err(err) => tracing::error!(job = %id, error = %err, "the job could not be read"),
    }
}

/// Stores and publishes a job, unless that was done a moment ago.
pub(crate) async fn save_throttled(hub: &Inner, job: Job) {
    if hub.jobs.is_due(job.id) {
        save(hub, job).await;
    }
}

/// Shows how far these jobs are.
pub(crate) async fn progress(hub: &Inner, jobs: &mut [Job], progress: Progress) {
    for job in jobs {
        let moved_on = job.progress.step != progress.step || job.state == JobState::Queued;
        job.state = JobState::Running;
        job.progress = progress.clone();
        if moved_on { save(hub, job.clone()).await } else { save_throttled(hub, job.clone()).await }
    }
}

/// Cancels a job: an installation ends; a start becomes a stop. Other kinds cannot be cancelled half-way.
pub(crate) async fn cancel(hub: &Arc<Inner>, id: JobId, audit: AuditEntry) -> Outcome<Job> {
    let job = hub.store.job_get(id).await?.ok_or_else(not_found)?;
    if job.state.is_settled() {
        return Ok(job);
    }
    match (job.kind, job.instance_id) {
        (JobKind::AgentInstall, _) => {
            hub.store.audit_append(audit).await?;
            hub.jobs.cancel_token(id).cancel();
        }
        (JobKind::InstanceStart, Some(instance)) => {
            let change = DesiredChange { desired: Desired::Stopped, delete_data: None, restart: false };
            hub.store.instance_set_desired(instance, change, None, audit).await?;
            save(hub, Job { state: JobState::Cancelled, ..job.clone() }).await;
            hub.runtimes.nudge(instance);
        }
        _ => {
            return Err(ApiError::new(
                ErrorCode::InstanceBusy,
                "this kind of job cannot be cancelled; wait for its end",
            )
            .into());
        }
    }
    Ok(Job { state: JobState::Cancelled, ..job })
}

pub(crate) fn not_found() -> ApiError {
    ApiError::new(ErrorCode::JobNotFound, "there is no such job; old ones are thrown away")
}

/// Jobs that nobody will settle any more: those that only lived in the memory of an earlier hub, and those of instances
/// that are gone. Jobs of other instances go on by themselves.
pub(crate) async fn settle_interrupted(hub: &Inner) -> Result<(), StoreError> {
    for mut job in hub.store.job_open().await? {
        let gone = match job.instance_id {
            Some(id) => hub.store.instance_get(id).await?.is_none(),
            None => false,
        };
        if gone && job.kind == JobKind::InstanceDelete {
            job.state = JobState::Done;
            job.message = Some("removed; the hub was restarted before it could tell what exactly".to_owned());
        } else if gone || job.instance_id.is_none() {
            job.state = JobState::Failed;
            job.reason = Some("interrupted".to_owned());
            job.message =
                Some("the hub was restarted in the middle; ask for it again, it goes on where it was".to_owned());
        } else {
            continue;
        }
        job.updated_at = jiff::Timestamp::now();
        hub.store.job_update(job).await?;
    }
    Ok(())
}

/// Waits until a job is settled.
pub(crate) async fn wait(hub: &Inner, job: Job, limit: Duration) -> Outcome<Job> {
    let deadline = Instant::now() + limit;
    let mut events = hub.bus.subscribe(None).receiver;
    loop {
        let now = hub.store.job_get(job.id).await?.ok_or_else(not_found)?;
        if now.state.is_settled() {
            return Ok(now);
        }
        tokio::select! {
            // Any event, also an overrun of the channel, is a reason to look again.
            _ = events.recv() => {}
            () = tokio::time::sleep_until(deadline) => {
                let message = format!("the job goes on; it was not settled within {} ms", limit.as_millis());
                let details = serde_json::json!({ "jobId": job.id });
                return Err(ApiError::new(ErrorCode::WaitTimeout, message).with_details(details).into());
            }
            () = hub.stopping.cancelled() => {
                return Err(ApiError::new(ErrorCode::ShuttingDown, "the hub is stopping; the job goes on when it is back").into());
            }
        }
    }
}
