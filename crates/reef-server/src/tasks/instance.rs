//! Brings instances to where their owners want them.
//!
//! One worker per instance, so that a slow one holds up no other. A worker passes again when it is nudged (API, driver
//! events, link changes) and after a slow period that makes lost nudges harmless.

mod install;
mod launch;
mod pass;
mod record;
mod settle;
mod supervise;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use reef_driver::DriverEvent;
use reef_types::{Desired, InstanceId};
use tokio::time::timeout;

use crate::hub::Inner;

/// A worker looks again after this time even when nobody nudged it.
const PERIOD: Duration = Duration::from_secs(30);
/// So many bad starts in a row and the instance is given up on.
const FAILURES_MAX: u32 = 6;
/// An instance that ran this long has earned a clean slate.
const STABLE: Duration = Duration::from_secs(120);
/// Time between SIGTERM and SIGKILL, in milliseconds.
const STOP_GRACE_MS: u64 = 20_000;

/// When a worker wants to look again.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// When nudged, or after the period.
    Settled,
    /// When nudged, or after this time.
    In(Duration),
    /// The instance is gone; so is the worker.
    Gone,
}

/// Starts the workers, and the tasks that nudge them.
pub(crate) fn spawn(hub: Arc<Inner>) {
    for driver in hub.drivers.values() {
        let (hub, mut events) = (hub.clone(), driver.events());
        hub.tasks.clone().spawn(async move {
            loop {
                tokio::select! {
                    () = hub.stopping.cancelled() => break,
                    event = events.next() => match event {
                        Some(DriverEvent::Changed { id }) => hub.runtimes.nudge(id),
                        Some(DriverEvent::Resync) => hub.runtimes.nudge_all(),
                        None => break,
                    },
                }
            }
        });
    }
    hub.tasks.clone().spawn(async move {
        loop {
            adopt_all(&hub).await;
            tokio::select! {
                () = hub.stopping.cancelled() => break,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}

/// Gives every row of the store its worker.
async fn adopt_all(hub: &Arc<Inner>) {
    crate::routes::publish(hub).await;
    match hub.store.instance_list().await {
        Ok(rows) => rows.iter().for_each(|row| ensure_worker(hub, row.spec.id, &row.spec.driver)),
        Err(err) => tracing::error!(error = %err, "instances could not be read"),
    }
}

/// Starts the worker of one instance unless it is there, and nudges it.
pub(crate) fn ensure_worker(hub: &Arc<Inner>, id: InstanceId, driver: &str) {
    if hub.runtimes.add(id, hub.drivers.get(driver).cloned()) {
        let hub = hub.clone();
        hub.tasks.clone().spawn(async move { work(hub, id).await });
    }
    hub.runtimes.nudge(id);
}

async fn work(hub: Arc<Inner>, id: InstanceId) {
    let Some(nudge) = hub.runtimes.with(id, |entry| entry.nudge.clone()) else { return };
    loop {
        // A pass is dropped in its middle when the hub stops: every step is idempotent, the next hub goes on.
        let next = tokio::select! {
            () = hub.stopping.cancelled() => return,
            next = pass::pass(&hub, id) => next,
        };
        let wait = match next {
            Next::Gone => {
                hub.runtimes.remove(id);
                crate::routes::publish(&hub).await;
                return;
            }
            Next::Settled => PERIOD,
            Next::In(wait) => wait,
        };
        tokio::select! {
            () = hub.stopping.cancelled() => return,
            _ = timeout(wait, nudge.notified()) => {}
        }
    }
}

/// Stops every instance without changing what is wanted: for throw-away hubs.
pub(crate) async fn stop_all(hub: &Arc<Inner>) {
    let rows = hub.store.instance_list().await.unwrap_or_default();
    let stops = rows.iter().filter(|row| row.desired == Desired::Running).filter_map(|row| {
        let driver = hub.drivers.get(row.spec.driver.as_str())?.clone();
        let id = row.spec.id;
        Some(async move {
            if let Err(err) = driver.stop(id, STOP_GRACE_MS).await {
                tracing::warn!(instance = %id, error = %err, "the instance was not stopped");
            }
        })
    });
    futures_util::future::join_all(stops).await;
}
