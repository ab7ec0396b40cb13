//! The node's version store, from the hub.

use async_trait::async_trait;
use futures_util::{StreamExt, future, stream::BoxStream};
use reef_driver::{DriverError, InstallEvent, VersionInfo, VersionStore};

use super::{NodeClient, unexpected};
use crate::wire::{Answer, Request};

#[async_trait]
impl VersionStore for NodeClient {
    async fn versions(&self) -> Result<Vec<VersionInfo>, DriverError> {
        match self.call(&Request::Versions {}).await? {
            Answer::Versions { versions } => Ok(versions),
            _ => Err(unexpected("versions")),
        }
    }

    fn install(&self, kind: &str, version: &str) -> BoxStream<'static, InstallEvent> {
        let request = Request::Install { kind: kind.to_owned(), version: version.to_owned() };
        self.items(request)
            .map(|answer| match answer {
                Ok(Answer::Install { event }) => event,
                Ok(_) => InstallEvent::Failed { error: unexpected("install") },
                Err(error) => InstallEvent::Failed { error },
            })
            // Whatever the node does, nothing follows the last event.
            .scan(false, |over, event| {
                let last = matches!(event, InstallEvent::Done { .. } | InstallEvent::Failed { .. });
                future::ready((!std::mem::replace(over, last)).then_some(event))
            })
            .boxed()
    }

    async fn remove(&self, kind: &str, version: &str) -> Result<(), DriverError> {
        match self.call(&Request::Remove { kind: kind.to_owned(), version: version.to_owned() }).await? {
            Answer::Done {} => Ok(()),
            _ => Err(unexpected("remove")),
        }
    }
}
