//! Installations of agent versions that somebody asked for by hand.

use std::sync::Arc;

use futures_util::StreamExt;
use reef_driver::InstallEvent;
use reef_types::{Job, JobState};

use crate::{app::job, hub::Inner};

/// Drives one installation job to its end. Cancelling the job ends the installation.
pub(crate) fn install(hub: Arc<Inner>, mut open: Job, kind: String, version: String) {
    hub.tasks.clone().spawn(async move {
        let cancel = hub.jobs.cancel_token(open.id);
        let mut events = hub.versions.install(&kind, &version);
        open.state = JobState::Running;
        loop {
            let event = tokio::select! {
                () = hub.stopping.cancelled() => return,
                () = cancel.cancelled() => {
                    open.state = JobState::Cancelled;
                    break;
                }
                event = events.next() => event,
            };
            match event {
                Some(InstallEvent::Progress { progress }) => {
                    open.progress = progress;
                    job::save_throttled(&hub, open.clone()).await;
                }
                Some(InstallEvent::Done { .. }) => {
                    open.state = JobState::Done;
                    break;
                }
                Some(InstallEvent::Failed { error }) => {
                    open.state = JobState::Failed;
                    open.reason = Some(error.reason.as_str().to_owned());
                    open.message = Some(error.message);
                    break;
                }
                None => {
                    open.state = JobState::Failed;
                    open.reason = Some("unavailable".to_owned());
                    open.message = Some("the node went away during the installation; try again".to_owned());
                    break;
                }
            }
        }
        job::save(&hub, open).await;
    });
}
