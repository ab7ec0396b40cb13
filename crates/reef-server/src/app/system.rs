//! What this machine can do, and whether the hub's parts work: what `reef doctor` and `/healthcheck` show.

use std::{sync::Arc, time::Duration};

use reef_types::Enforcement;
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use utoipa::ToSchema;

use crate::hub::Inner;

/// One thing that is as it should be, or not.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) ok: bool,
    /// What it is, or what to do.
    pub(crate) message: String,
}

/// What `doctor` shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SystemView {
    pub(crate) version: String,
    /// Where the page is.
    pub(crate) url: String,
    pub(crate) checks: Vec<Check>,
    /// Which limits hold for instances of this machine.
    pub(crate) limits: Vec<Enforcement>,
}

fn check(name: impl Into<String>, result: Result<String, String>) -> Check {
    let ok = result.is_ok();
    let (Ok(message) | Err(message)) = result;
    Check { name: name.into(), ok, message }
}

/// A driver that does not answer within this time is not ready.
const PROBE_LIMIT: Duration = Duration::from_secs(15);

/// The last look at the parts. Whoever comes while one is being taken waits for it instead of taking another.
pub(crate) type Probed = Mutex<Option<(Instant, Arc<Parts>)>>;

/// Store, node and drivers; all that an instance needs.
pub(crate) struct Parts {
    pub(crate) checks: Vec<Check>,
    /// Which limits hold for instances of this machine.
    pub(crate) limits: Vec<Enforcement>,
}

/// How the parts are, as of a few seconds ago at most.
pub(crate) async fn parts(hub: &Inner) -> Arc<Parts> {
    let mut probed = hub.probed.lock().await;
    match &*probed {
        Some((at, parts)) if at.elapsed() < hub.config.pacing.probe_every => parts.clone(),
        _ => {
            let parts = Arc::new(probe(hub).await);
            *probed = Some((Instant::now(), parts.clone()));
            parts
        }
    }
}

async fn probe(hub: &Inner) -> Parts {
    let store = hub.store.ping().await.map(|()| "the database answers".to_owned());
    let mut checks = vec![check("store", store.map_err(|err| err.to_string()))];
    let mut limits = Vec::new();
    let mut kinds: Vec<_> = hub.drivers.values().collect();
    kinds.sort_by_key(|driver| driver.kind());
    for driver in kinds {
        let name = format!("driver {}", driver.kind());
        match timeout(PROBE_LIMIT, driver.fingerprint()).await {
            Err(_) => checks.push(check(name, Err(format!("no answer within {} s", PROBE_LIMIT.as_secs())))),
            Ok(Ok(print)) if print.usable => {
                limits.extend(print.capabilities.limits);
                checks.push(check(name, Ok(print.message)));
            }
            Ok(Ok(print)) => checks.push(check(name, Err(print.message))),
            Ok(Err(err)) => checks.push(check(name, Err(err.message))),
        }
    }
    Parts { checks, limits }
}

pub(crate) async fn view(hub: &Inner) -> SystemView {
    let parts = parts(hub).await;
    let (mut checks, limits) = (parts.checks.clone(), parts.limits.clone());
    let versions = match hub.versions.versions().await {
        Ok(versions) if versions.is_empty() => Ok("none installed yet; the first `reef create` does it".to_owned()),
        Ok(versions) => Ok(versions.iter().map(|v| format!("{} {}", v.kind, v.version)).collect::<Vec<_>>().join(", ")),
        Err(err) => Err(err.message),
    };
    checks.push(check("agent versions", versions));
    let owner = match hub.store.owner_exists().await {
        Ok(true) => Ok("this hub has an owner".to_owned()),
        // No defect: this machine's own command line works without one.
        Ok(false) => {
            Ok("nobody yet; for the browser, open the setup link or run `reef setup --owner NAME --password-stdin`"
                .to_owned())
        }
        Err(err) => Err(err.to_string()),
    };
    checks.push(check("owner", owner));
    let url = format!("http://{}", hub.config.listen);
    SystemView { version: env!("CARGO_PKG_VERSION").to_owned(), url, checks, limits }
}
