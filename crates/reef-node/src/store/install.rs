//! Installations: each version's is one, shared by all who watch it, and ends when the last of them leaves.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{Stream, StreamExt, stream};
use reef_driver::{DriverError, InstallEvent, Reason, VersionInfo, version::InstallDirs};
use reef_types::Progress;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Inner,
    name::VersionKey,
    publish::{self, PublishError},
};

/// How deep the needs of needs may go. Real ones are one deep; more is an installer that needs itself.
const NEEDS_DEPTH_MAX: usize = 4;

/// A running installation as its watchers hold it: when the last lets go, the guard cancels it.
pub(super) struct Installation {
    /// Only the newest event counts: a slow watcher skips progress, never the end.
    latest: watch::Receiver<InstallEvent>,
    _cancel: DropGuard,
}

/// A number that no other attempt of this process has.
pub(super) fn attempt() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Watches the installation of `key`, which is begun if it does not run.
pub(super) fn join(inner: &Arc<Inner>, key: VersionKey) -> impl Stream<Item = InstallEvent> + Send + use<> {
    watch_from(running_or_new(inner, key, 0))
}

fn running_or_new(inner: &Arc<Inner>, key: VersionKey, depth: usize) -> Arc<Installation> {
    let mut running = inner.running.lock();
    running.retain(|_, installation| installation.strong_count() > 0);
    if let Some(installation) = running.get(&key).and_then(std::sync::Weak::upgrade)
        && !is_last(&installation.latest.borrow())
    {
        return installation;
    }
    let (events, latest) = watch::channel(InstallEvent::Progress { progress: Progress::step("Starting") });
    let cancel = CancellationToken::new();
    let installation = Arc::new(Installation { latest, _cancel: cancel.clone().drop_guard() });
    running.insert(key.clone(), Arc::downgrade(&installation));
    let work = run(Arc::clone(inner), key, depth, events, cancel);
    inner.tracker.spawn(work);
    installation
}

fn is_last(event: &InstallEvent) -> bool {
    matches!(event, InstallEvent::Done { .. } | InstallEvent::Failed { .. })
}

/// What the installation reports from now on, ending with its last event.
fn watch_from(installation: Arc<Installation>) -> impl Stream<Item = InstallEvent> + Send + use<> {
    let mut latest = installation.latest.clone();
    latest.mark_changed();
    stream::unfold(Some((latest, installation)), |state| async move {
        let (mut latest, installation) = state?;
        let event = match latest.changed().await {
            Ok(()) => latest.borrow_and_update().clone(),
            Err(_) => {
                let message = "the installation ended unexpectedly; see the node's log, then try again";
                InstallEvent::Failed { error: DriverError::new(Reason::Internal, message) }
            }
        };
        let more = (!is_last(&event)).then_some((latest, installation));
        Some((event, more))
    })
}

async fn run(
    inner: Arc<Inner>,
    key: VersionKey,
    depth: usize,
    events: watch::Sender<InstallEvent>,
    cancel: CancellationToken,
) {
    let report = |progress| {
        events.send_replace(InstallEvent::Progress { progress });
    };
    let last = match install(&inner, &key, depth, &report, &cancel).await {
        Ok(info) => {
            tracing::info!(version = %key, bytes = info.size_bytes, "installed");
            InstallEvent::Done { info }
        }
        Err(error) => {
            tracing::warn!(version = %key, reason = error.reason.as_str(), %error, "not installed");
            InstallEvent::Failed { error }
        }
    };
    events.send_replace(last);
}

async fn install(
    inner: &Arc<Inner>,
    key: &VersionKey,
    depth: usize,
    report: &(dyn Fn(Progress) + Send + Sync),
    cancel: &CancellationToken,
) -> Result<VersionInfo, DriverError> {
    let installer = Arc::clone(inner.installer(key)?);
    let needs = installer.needs(key.kind(), key.version())?;
    let cancelled =
        || DriverError::new(Reason::Cancelled, "the installation was cancelled; the next one goes on from there");
    // First, even when the version itself is there: a need may have been lost since.
    cancel.run_until_cancelled(install_needs(inner, &needs, depth, report)).await.ok_or_else(cancelled)??;
    let turn = async {
        if let Ok(alone) = inner.worker.try_lock() {
            return alone;
        }
        report(Progress::step("Waiting for another installation"));
        inner.worker.lock().await
    };
    let _alone = cancel.run_until_cancelled(turn).await.ok_or_else(cancelled)?;
    if let Some(info) = inner.installed(key)? {
        return Ok(info);
    }
    for (kind, version) in &needs {
        // Nothing is removed while we have our turn, but it could be just before.
        if inner.installed(&VersionKey::parse(kind, version)?)?.is_none() {
            let message = format!("{kind} {version} was removed meanwhile: try again");
            return Err(DriverError::new(Reason::Conflict, message));
        }
    }
    let staging = Staging::create(inner, key)?;
    let dirs = InstallDirs { staging: &staging.path, cache: &inner.cache, store: &inner.root };
    let fill = installer.install(key.kind(), key.version(), dirs, inner.tasks.as_ref(), report);
    let filled = cancel.run_until_cancelled(fill).await.unwrap_or_else(|| Err(cancelled()));
    if filled.is_ok() {
        report(Progress::step("Putting the version into the store"));
    }
    let info = VersionInfo {
        kind: key.kind().to_owned(),
        version: key.version().to_owned(),
        size_bytes: 0,
        installed_at: jiff::Timestamp::now().to_string(),
        needs,
    };
    let (inner, key) = (Arc::clone(inner), key.clone());
    // From here on it is seconds to a finished version, and nothing that could be resumed: it is not cut off any more.
    let published = tokio::task::spawn_blocking(move || {
        filled?;
        inner.publish(&staging, &key, info)
    });
    published
        .await
        .unwrap_or_else(|_| Err(DriverError::new(Reason::Internal, "the version store failed; see the node's log")))
}

impl Inner {
    fn publish(&self, staging: &Staging, key: &VersionKey, info: VersionInfo) -> Result<VersionInfo, DriverError> {
        let failed = |err| DriverError::io(&format!("cannot put {key} into the store"), &err);
        let dir = self.dir_of(key);
        if std::fs::symlink_metadata(&dir).is_ok() {
            // There, but not a version: its metadata is gone. It is replaced, never built upon.
            let trash = self.staging.join(format!("replaced-{key}-{}", attempt()));
            publish::withdraw(&dir, &trash).and_then(|()| publish::remove_tree(&trash)).map_err(failed)?;
        }
        publish::publish(&staging.path, &dir, info).map_err(|err| match err {
            PublishError::Io(err) => failed(err),
            PublishError::Special(_) => DriverError::new(Reason::Integrity, format!("{key}: {err}")),
        })
    }
}

/// Installs each need by its own, shared installation, and shows its progress as ours.
async fn install_needs(
    inner: &Arc<Inner>,
    needs: &[(String, String)],
    depth: usize,
    report: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), DriverError> {
    if depth == NEEDS_DEPTH_MAX && !needs.is_empty() {
        return Err(DriverError::new(Reason::Internal, "the needs of this version never end"));
    }
    for (kind, version) in needs {
        let need = VersionKey::parse(kind, version)?;
        let mut events = Box::pin(watch_from(running_or_new(inner, need, depth + 1)));
        while let Some(event) = events.next().await {
            match event {
                InstallEvent::Progress { progress } => report(progress),
                InstallEvent::Done { .. } => break,
                InstallEvent::Failed { error } => return Err(error),
            }
        }
    }
    Ok(())
}

/// A fresh folder on the same file system as the store; removed when it was not moved into place.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn create(inner: &Inner, key: &VersionKey) -> Result<Self, DriverError> {
        let path = inner.staging.join(format!("{key}-{}", attempt()));
        std::fs::create_dir(&path).map_err(|err| DriverError::io("cannot make a folder for the installation", &err))?;
        Ok(Self { path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left when this fails is removed at the next start of the node.
        if let Err(err) = publish::remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %err, "cannot clear away an installation");
        }
    }
}
