//! One pass of one worker: what is wanted, what is, and the next step from here to there.

use std::{sync::Arc, time::Duration};

use reef_driver::{DataPolicy, Driver, DriverError, ProcessState, Reason};
use reef_store::{InstanceRow, StoreError};
use reef_types::{Desired, InstanceId, Job, JobKind, Phase};

use super::{Next, STOP_GRACE_MS, launch, record, settle, supervise};
use crate::{app::job, bus::HubEvent, hub::Inner};

/// Why a pass could not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Passing: tried again after a while; the phase stays.
    Retry(DriverError),
    /// Lasting: the instance is `failed` until somebody asks for another start.
    Fatal { reason: String, message: String },
    /// What is wanted changed in the middle: look again at once.
    Changed,
    /// Nothing can be written down; the phase stays.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl From<DriverError> for Trouble {
    fn from(err: DriverError) -> Self {
        match err.reason {
            // The node or its host will be better later; the rest would only fail again.
            Reason::Unavailable | Reason::Timeout => Self::Retry(err),
            _ => Self::Fatal { reason: err.reason.as_str().to_owned(), message: err.message },
        }
    }
}

/// What a pass works with.
pub(super) struct Pass<'a> {
    pub(super) hub: &'a Arc<Inner>,
    pub(super) driver: Arc<dyn Driver>,
    pub(super) row: InstanceRow,
    /// The open jobs that this pass works for, and the only ones that it may settle: read before the row, so that the job
    /// of a wish that comes in the middle is left to the next pass.
    pub(super) jobs: Vec<Job>,
}

pub(super) async fn pass(hub: &Arc<Inner>, id: InstanceId) -> Next {
    let jobs = job::open_of(hub, id).await;
    let row = match hub.store.instance_get(id).await {
        Ok(Some(row)) => row,
        Ok(None) => return Next::Gone,
        Err(err) => {
            tracing::error!(instance = %id, error = %err, "the instance could not be read");
            return Next::In(Duration::from_secs(5));
        }
    };
    let Some(driver) = hub.drivers.get(row.spec.driver.as_str()).cloned() else {
        let mut row = row;
        let message = format!("this hub has no driver `{}`", row.spec.driver);
        settle::fail(hub, &mut row, &jobs, "driver_unknown", &message).await;
        return Next::Settled;
    };
    let mut pass = Pass { hub, driver, row, jobs };
    let pacing = hub.config.pacing;
    let result = match pass.row.desired {
        Desired::Running => running(&mut pass).await,
        Desired::Stopped => stopped(&mut pass).await,
        Desired::Deleted => deleted(&mut pass).await,
    };
    match result {
        Ok(next) => next,
        Err(Trouble::Changed) => Next::In(Duration::ZERO),
        Err(Trouble::Store(err)) => {
            tracing::error!(instance = %id, error = %err, "what was observed could not be written down");
            Next::In(Duration::from_secs(5))
        }
        Err(Trouble::Retry(err)) => {
            tracing::warn!(instance = %id, reason = err.reason.as_str(), error = %err, "a step is tried again");
            pass.row.status.set_condition(
                "Reconciled",
                false,
                err.reason.as_str(),
                err.message,
                jiff::Timestamp::now(),
            );
            record::status(hub, &pass.row).await;
            Next::In(pacing.step_retry)
        }
        Err(Trouble::Fatal { reason, message }) => {
            tracing::warn!(instance = %id, reason, message, "the instance failed");
            settle::fail(hub, &mut pass.row, &pass.jobs, &reason, &message).await;
            match pass.row.desired {
                Desired::Deleted => Next::In(pacing.restart_max),
                // The next pass looks whether anything still runs. Not at once: the failure may not have been written down.
                Desired::Running => Next::In(pacing.restart_first),
                Desired::Stopped => Next::Settled,
            }
        }
    }
}

/// The driver's view, with "nothing there" as `Absent`.
async fn look(pass: &Pass<'_>) -> Result<(ProcessState, u64), Trouble> {
    match pass.driver.observe(pass.row.spec.id).await {
        Ok(observed) => Ok((observed.process, observed.generation)),
        Err(err) if err.reason == Reason::NotFound => Ok((ProcessState::Absent, 0)),
        Err(err) => Err(Trouble::Retry(err)),
    }
}

async fn running(pass: &mut Pass<'_>) -> Result<Next, Trouble> {
    let status = &pass.row.status;
    if status.phase == Phase::Failed && status.observed_generation >= pass.row.spec.generation {
        return Ok(given_up(pass).await);
    }
    let (process, generation) = look(pass).await?;
    let current = generation >= pass.row.run_generation;
    match process {
        ProcessState::Running { pid } if current => supervise::supervise(pass, pid).await,
        ProcessState::Running { .. } => {
            stop(pass).await?;
            Ok(Next::In(Duration::ZERO))
        }
        // Only an exit of what was asked for counts as a crash; one that was left behind by an earlier stop does not.
        ProcessState::Exited { exit } if current && is_up(pass.row.status.phase) => {
            supervise::crashed(pass, &exit).await
        }
        ProcessState::Exited { .. } | ProcessState::Absent => launch::launch(pass).await,
    }
}

/// A failed instance runs nothing: what went wrong may have left a process behind that nobody looks after.
async fn given_up(pass: &mut Pass<'_>) -> Next {
    let id = pass.row.spec.id;
    pass.hub.runtimes.unlink(id);
    // The hub may have been killed before it could say so of the job.
    if let Some(why) = pass.row.status.conditions.iter().find(|condition| condition.kind == "Ready") {
        settle::fail_jobs(pass.hub, &pass.jobs, &why.reason, &why.message).await;
    }
    if let Ok((ProcessState::Running { .. }, _)) = look(pass).await
        && let Err(err) = pass.driver.stop(id, STOP_GRACE_MS).await
    {
        tracing::warn!(instance = %id, error = %err, "a failed instance was not stopped; this is tried again");
    }
    Next::Settled
}

/// Phases in which a process was seen, or about to be.
fn is_up(phase: Phase) -> bool {
    matches!(phase, Phase::Starting | Phase::Running | Phase::Degraded)
}

async fn stopped(pass: &mut Pass<'_>) -> Result<Next, Trouble> {
    let (process, _) = look(pass).await?;
    if matches!(process, ProcessState::Running { .. }) {
        stop(pass).await?;
    }
    pass.hub.runtimes.unlink(pass.row.spec.id);
    let status = &mut pass.row.status;
    status.phase = Phase::Stopped;
    status.observed_generation = pass.row.spec.generation;
    status.started_at = None;
    status.failures = 0;
    status.conditions.clear();
    record::status(pass.hub, &pass.row).await;
    settle::done(pass, JobKind::InstanceStop, None).await;
    settle::cancelled(pass, JobKind::InstanceStart).await;
    Ok(Next::Settled)
}

async fn deleted(pass: &mut Pass<'_>) -> Result<Next, Trouble> {
    let id = pass.row.spec.id;
    pass.row.status.phase = Phase::Deleting;
    record::status(pass.hub, &pass.row).await;
    pass.hub.runtimes.unlink(id);
    let data = if pass.row.delete_data { DataPolicy::Delete } else { DataPolicy::Keep };
    let gone = match pass.driver.destroy(id, data).await {
        Ok(gone) => gone,
        Err(err) if err.reason == Reason::NotFound => reef_driver::Destroyed::default(),
        Err(err) => return Err(err.into()),
    };
    pass.hub.store.instance_remove(id).await?;
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let report = format!("removed: {}; kept: {}", list(&gone.removed), list(&gone.kept));
    settle::done(pass, JobKind::InstanceDelete, Some(report)).await;
    pass.hub.usage.lock().remove(&id);
    pass.hub.activity.lock().remove(&id);
    let _turn = pass.hub.telling.lock().await;
    pass.hub.bus.publish(&HubEvent::InstanceRemoved { id, name: &pass.row.spec.name });
    Ok(Next::Gone)
}

/// Stops the process, whatever is wanted next.
pub(super) async fn stop(pass: &mut Pass<'_>) -> Result<(), Trouble> {
    let id = pass.row.spec.id;
    pass.row.status.phase = Phase::Stopping;
    record::status(pass.hub, &pass.row).await;
    pass.hub.runtimes.unlink(id);
    Ok(pass.driver.stop(id, STOP_GRACE_MS).await?)
}
