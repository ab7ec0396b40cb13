//! A version store in memory.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use reef_types::Progress;
use tokio::sync::watch;

use crate::{DriverError, InstallEvent, Reason, VersionInfo, VersionStore};

/// The fake: every installation succeeds after two steps, unless it is held or made to fail. Clones share one store.
#[derive(Clone)]
pub struct FakeVersions {
    inner: Arc<Inner>,
}

struct Inner {
    installed: Mutex<BTreeMap<(String, String), VersionInfo>>,
    in_use: Mutex<Vec<(String, String)>>,
    failure: Mutex<Option<DriverError>>,
    held: watch::Sender<bool>,
}

impl fmt::Debug for FakeVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeVersions").finish_non_exhaustive()
    }
}

impl Default for FakeVersions {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeVersions {
    /// An empty store.
    pub fn new() -> Self {
        let inner = Inner {
            installed: Mutex::default(),
            in_use: Mutex::default(),
            failure: Mutex::default(),
            held: watch::channel(false).0,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Puts a version into the store.
    pub fn put(&self, kind: &str, version: &str) {
        self.inner.put(kind, version);
    }

    /// Installations fail with this after their first step, until it is none again.
    pub fn set_failure(&self, failure: Option<DriverError>) {
        *self.inner.failure.lock() = failure;
    }

    /// While held, installations stay in their first step.
    pub fn hold(&self, held: bool) {
        self.inner.held.send_replace(held);
    }

    /// Removal of this version is refused.
    pub fn use_version(&self, kind: &str, version: &str) {
        self.inner.in_use.lock().push((kind.to_owned(), version.to_owned()));
    }
}

impl Inner {
    fn put(&self, kind: &str, version: &str) -> VersionInfo {
        let info = VersionInfo {
            kind: kind.to_owned(),
            version: version.to_owned(),
            size_bytes: 1 << 20,
            installed_at: "2026-01-01T00:00:00Z".to_owned(),
            needs: Vec::new(),
        };
        self.installed.lock().insert((kind.to_owned(), version.to_owned()), info.clone());
        info
    }

    async fn finish(&self, kind: &str, version: &str) -> InstallEvent {
        let mut held = self.held.subscribe();
        // The sender lives as long as this, so that waiting cannot fail.
        let _ = held.wait_for(|held| !held).await;
        match self.failure.lock().clone() {
            Some(error) => InstallEvent::Failed { error },
            None => InstallEvent::Done { info: self.put(kind, version) },
        }
    }
}

#[async_trait]
impl VersionStore for FakeVersions {
    async fn versions(&self) -> Result<Vec<VersionInfo>, DriverError> {
        Ok(self.inner.installed.lock().values().cloned().collect())
    }

    fn install(&self, kind: &str, version: &str) -> BoxStream<'static, InstallEvent> {
        let key = (kind.to_owned(), version.to_owned());
        if let Some(info) = self.inner.installed.lock().get(&key) {
            return stream::iter([InstallEvent::Done { info: info.clone() }]).boxed();
        }
        let progress = Progress { done: 1, total: 2, unit: "steps".to_owned(), ..Progress::step("Downloading") };
        let inner = Arc::clone(&self.inner);
        let last = stream::once(async move { inner.finish(&key.0, &key.1).await });
        stream::iter([InstallEvent::Progress { progress }]).chain(last).boxed()
    }

    async fn remove(&self, kind: &str, version: &str) -> Result<(), DriverError> {
        let key = (kind.to_owned(), version.to_owned());
        if self.inner.in_use.lock().contains(&key) {
            return Err(DriverError::new(Reason::Conflict, format!("{kind} {version} is used by an instance")));
        }
        let removed = self.inner.installed.lock().remove(&key);
        removed
            .map(|_| ())
            .ok_or_else(|| DriverError::new(Reason::NotFound, format!("{kind} {version} is not installed")))
    }
}
