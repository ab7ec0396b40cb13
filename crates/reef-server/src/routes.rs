//! Keeps the forwarder's snapshot of routes in step with what was observed.

use reef_forward::{Route, RouteState};
use reef_store::InstanceRow;
use reef_types::Phase;

use crate::hub::Inner;

/// When to try an instance again that is being started.
const STARTING_RETRY_MS: u64 = 3_000;
/// When to try an instance again that does not run.
const STOPPED_RETRY_MS: u64 = 30_000;

/// Publishes a fresh snapshot made of all rows.
pub(crate) async fn publish(hub: &Inner) {
    let _turn = hub.telling.lock().await;
    match hub.store.instance_list().await {
        Ok(rows) => hub.routes.publish(rows.iter().filter_map(|row| route(hub, row)).collect()),
        Err(err) => tracing::error!(error = %err, "routes were not renewed"),
    }
}

fn route(hub: &Inner, row: &InstanceRow) -> Option<Route> {
    let agent = hub.agents.get(row.spec.agent.kind.as_str())?;
    let state = match row.status.phase {
        Phase::Running => RouteState::Ready,
        phase => RouteState::Unavailable {
            reason: format!("the instance is {}", phase.as_str()),
            retry_after_ms: match phase {
                Phase::Stopped | Phase::Failed | Phase::Deleting | Phase::Stopping => STOPPED_RETRY_MS,
                _ => STARTING_RETRY_MS,
            },
        },
    };
    let generation = row.spec.generation;
    Some(Route { id: row.spec.id, name: row.spec.name.clone(), generation, port: agent.gateway_port(), state })
}
