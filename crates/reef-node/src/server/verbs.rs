//! What each verb does: finds the driver or the version store, and hands the request on.

use std::{os::fd::OwnedFd, sync::Arc};

use futures_util::{StreamExt, stream::BoxStream};
use reef_driver::{Driver, DriverError, Reason, Workload};
use reef_types::InstanceId;
use tokio::net::UnixStream;

use super::Shared;
use crate::wire::{Answer, Request};

pub(super) type Items = BoxStream<'static, Answer>;

/// What a verb comes to.
pub(super) enum Reply {
    Answer(Answer),
    Socket(OwnedFd),
    Stream(Items),
}

/// Dropping the future gives up the verb; all verbs may be cut off anywhere and repeated.
pub(super) async fn perform(shared: &Shared, request: Request) -> Result<Reply, DriverError> {
    let verb = request.verb();
    let answer = match request {
        Request::Fingerprint { driver } => {
            Answer::Fingerprint { fingerprint: shared.driver(&driver)?.fingerprint().await? }
        }
        Request::Prepare { driver, workload } => {
            log(verb, &driver, workload.id);
            prepare(shared, &driver, &workload).await?;
            Answer::Done {}
        }
        Request::Start { driver, workload } => {
            log(verb, &driver, workload.id);
            let target = shared.driver(&driver)?;
            shared.store.claim(&driver, &workload).await?;
            let observed = target.start(&workload).await?;
            // One that ran already still has the versions of its own generation mounted.
            if observed.generation == workload.generation {
                shared.store.narrow_claim(&driver, &workload).await?;
            }
            Answer::Observed { observed }
        }
        Request::PutSecrets { driver, id, secrets } => {
            shared.driver(&driver)?.put_secrets(id, &secrets).await?;
            Answer::Done {}
        }
        Request::Observe { driver, id } => Answer::Observed { observed: shared.driver(&driver)?.observe(id).await? },
        Request::Stop { driver, id, grace_ms } => {
            log(verb, &driver, id);
            shared.driver(&driver)?.stop(id, grace_ms).await?;
            Answer::Done {}
        }
        Request::Destroy { driver, id, data } => {
            log(verb, &driver, id);
            let destroyed = shared.driver(&driver)?.destroy(id, data).await;
            if destroyed.as_ref().err().is_none_or(|err| err.reason == Reason::NotFound) {
                shared.store.release_claim(id).await?;
            }
            Answer::Destroyed { destroyed: destroyed? }
        }
        Request::Inventory { driver } => Answer::Inventory { observed: shared.driver(&driver)?.inventory().await? },
        Request::Events { driver } => {
            let events = shared.driver(&driver)?.events();
            return Ok(Reply::Stream(events.map(|event| Answer::Event { event }).boxed()));
        }
        Request::Logs { driver, id, query } => {
            let lines = shared.driver(&driver)?.logs(id, query);
            let items = lines.map(|line| match line {
                Ok(line) => Answer::Log { line },
                Err(error) => Answer::Failed { error },
            });
            return Ok(Reply::Stream(items.boxed()));
        }
        Request::Dial { driver, id, port } => return dial(shared, &driver, id, port).await.map(Reply::Socket),
        Request::Door { driver, id, port } => {
            return shared.driver(&driver)?.door(id, port).await.map(Reply::Socket);
        }
        Request::Versions {} => Answer::Versions { versions: shared.store.versions().await? },
        Request::Install { kind, version } => {
            tracing::info!(verb, kind, version, "asked");
            let events = shared.store.install(&kind, &version);
            return Ok(Reply::Stream(events.map(|event| Answer::Install { event }).boxed()));
        }
        Request::Remove { kind, version } => {
            tracing::info!(verb, kind, version, "asked");
            shared.store.remove(&kind, &version).await?;
            Answer::Done {}
        }
    };
    Ok(Reply::Answer(answer))
}

fn log(verb: &str, driver: &str, id: InstanceId) {
    tracing::info!(verb, driver, instance = %id, "asked");
}

/// Claims the versions first, so that none can be removed while the instance is made.
async fn prepare(shared: &Shared, kind: &str, workload: &Workload) -> Result<(), DriverError> {
    let driver = shared.driver(kind)?;
    let was_known = shared.store.claim(kind, workload).await?;
    let prepared = driver.prepare(workload).await;
    if prepared.is_err() && !was_known {
        // A new instance that could not be made leaves nothing behind, not even this; the driver's error matters more.
        if let Err(err) = shared.store.release_claim(workload.id).await {
            tracing::warn!(instance = %workload.id, %err, "cannot give up the claim on versions");
        }
    }
    prepared
}

/// The connection itself where the driver has a socket; else one end of a pair whose bytes are copied here.
async fn dial(shared: &Shared, kind: &str, id: InstanceId, port: u16) -> Result<OwnedFd, DriverError> {
    let driver = shared.driver(kind)?;
    if let Some(socket) = driver.dial_socket(id, port).await? {
        return Ok(socket);
    }
    let Ok(slot) = Arc::clone(&shared.relays).try_acquire_owned() else {
        return Err(DriverError::new(Reason::Exhausted, "too many connections into instances: close some"));
    };
    let mut inside = driver.dial(id, port).await?;
    let cannot = |err| DriverError::io("cannot hand the connection over", &err);
    let (mut ours, theirs) = UnixStream::pair().map_err(cannot)?;
    let theirs = theirs.into_std().map_err(cannot)?;
    let shutdown = shared.shutdown.clone();
    tokio::spawn(async move {
        // Either end may cut the connection at any time; both then see it closed, and there is nobody else to tell.
        let copied = tokio::io::copy_bidirectional(&mut ours, &mut inside);
        let _ = shutdown.run_until_cancelled(copied).await;
        drop(slot);
    });
    Ok(theirs.into())
}

impl Shared {
    fn driver(&self, kind: &str) -> Result<&Arc<dyn Driver>, DriverError> {
        self.drivers.get(kind).ok_or_else(|| {
            let known: Vec<&str> = self.drivers.keys().copied().collect();
            DriverError::new(
                Reason::NotFound,
                format!("this node has no driver `{kind}`; it has: {}", known.join(", ")),
            )
        })
    }
}
