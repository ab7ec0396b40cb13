//! Makes sure that the agent's software is in the version store.

use futures_util::StreamExt;
use reef_driver::InstallEvent;
use reef_store::InstanceRow;
use reef_types::Desired;

use super::pass::{Pass, Trouble};
use crate::app::job;

/// Returns the versions to mount: the agent's own and what it needs.
pub(super) async fn ensure(pass: &mut Pass<'_>) -> Result<Vec<(String, String)>, Trouble> {
    let agent = pass.row.spec.agent.clone();
    let hub = pass.hub;
    let id = pass.row.spec.id;
    let nudge = hub.runtimes.with(id, |entry| entry.nudge.clone()).ok_or(Trouble::Changed)?;
    let mut events = hub.versions.install(&agent.kind, &agent.version);
    loop {
        // Dropping the stream cancels the installation: that is how a stop or a delete gets through.
        let event = tokio::select! {
            event = events.next() => event,
            () = nudge.notified() => {
                let jobs = job::open_of(hub, id).await;
                match hub.store.instance_get(id).await? {
                    // Asked for once more: the same installation serves the newer wish.
                    Some(row) if row.desired == Desired::Running => {
                        pass.jobs = jobs;
                        pass.row = InstanceRow { status: pass.row.status.clone(), ..row };
                        continue;
                    }
                    _ => return Err(Trouble::Changed),
                }
            }
        };
        match event {
            Some(InstallEvent::Progress { progress }) => {
                job::progress(hub, &mut pass.jobs, progress).await;
            }
            Some(InstallEvent::Done { info }) => {
                let mut versions = info.needs;
                versions.insert(0, (info.kind, info.version));
                return Ok(versions);
            }
            Some(InstallEvent::Failed { error }) => return Err(error.into()),
            None => {
                return Err(Trouble::Retry(reef_driver::DriverError::new(
                    reef_driver::Reason::Unavailable,
                    "the node went away during the installation",
                )));
            }
        }
    }
}
