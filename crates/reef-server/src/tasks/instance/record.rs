//! Writes down what was observed, and tells everybody who listens.

use std::sync::Arc;

use reef_store::InstanceRow;

use crate::{app::instance::announce, hub::Inner};

/// Stores the status, renews the routes and publishes the view. A status that did not change is not written again.
pub(super) async fn status(hub: &Arc<Inner>, row: &InstanceRow) {
    let id = row.spec.id;
    let mut row = row.clone();
    row.status.last_activity_at = hub.activity.lock().get(&id).copied().or(row.status.last_activity_at);
    let row = &row;
    match hub.store.instance_get(id).await {
        Ok(Some(old)) if old.status == row.status => return,
        Ok(Some(_)) => {}
        // Removed in the meantime: there is nothing to write to.
        Ok(None) => return,
        Err(err) => tracing::error!(instance = %id, error = %err, "the instance could not be read"),
    }
    if let Err(err) = hub.store.instance_set_status(id, row.status.clone()).await {
        tracing::error!(instance = %id, error = %err, "what was observed could not be written down");
    }
    crate::routes::publish(hub).await;
    announce(hub, id).await;
}
