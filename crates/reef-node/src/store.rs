//! The version store of this machine: which versions there are, who uses them, and the only code that changes that.
//!
//! A version is a read-only tree at `versions/<kind>/<version>`, complete from the moment that its name exists. It knows
//! nothing of what is in the tree; that is the installer's business.

mod claims;
mod install;
mod name;
mod publish;

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use futures_util::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use reef_driver::{DriverError, InstallEvent, Reason, TaskRunner, VersionInfo, VersionInstaller, Workload};
use reef_types::InstanceId;
use tokio_util::task::TaskTracker;

use self::{claims::Claims, install::Installation, name::VersionKey};
use crate::NodeError;

/// Where installed versions are below a node's data directory, as `<kind>/<version>`.
pub fn versions_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("versions")
}

/// The store; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    staging: PathBuf,
    cache: PathBuf,
    installers: HashMap<&'static str, Arc<dyn VersionInstaller>>,
    tasks: Arc<dyn TaskRunner>,
    /// Also guards "no claim, so remove": nothing is claimed between the look and the removal.
    claims: Mutex<Claims>,
    running: Mutex<HashMap<VersionKey, Weak<Installation>>>,
    /// One installation works at a time: they share the cache, and each alone keeps a small machine busy.
    worker: tokio::sync::Mutex<()>,
    tracker: TaskTracker,
}

impl Store {
    /// Makes the folders, and removes what a killed installation or removal left.
    pub(crate) fn open(
        data_dir: &Path,
        installers: Vec<Arc<dyn VersionInstaller>>,
        tasks: Arc<dyn TaskRunner>,
    ) -> Result<Self, NodeError> {
        let root = versions_dir(data_dir);
        let staging = root.join(".staging");
        let cache = data_dir.join("cache");
        publish::remove_tree(&staging).map_err(|err| NodeError::io("cannot clear", &staging, err))?;
        for dir in [&root, &staging, &cache] {
            fs::create_dir_all(dir).map_err(|err| NodeError::io("cannot create", dir, err))?;
        }
        let claims = Claims::open(data_dir.join("uses"))?;
        let mut by_kind = HashMap::new();
        for installer in installers {
            for &kind in installer.kinds() {
                if by_kind.insert(kind, Arc::clone(&installer)).is_some() {
                    return Err(NodeError::Duplicate(kind.to_owned()));
                }
            }
        }
        let inner = Inner {
            root,
            staging,
            cache,
            installers: by_kind,
            tasks,
            claims: Mutex::new(claims),
            running: Mutex::default(),
            worker: tokio::sync::Mutex::new(()),
            tracker: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// All installed versions, by kind and version.
    pub(crate) async fn versions(&self) -> Result<Vec<VersionInfo>, DriverError> {
        self.blocking(|inner| inner.list()).await
    }

    /// Joins or begins an installation; dropping the last of its streams cancels it.
    pub(crate) fn install(&self, kind: &str, version: &str) -> BoxStream<'static, InstallEvent> {
        match VersionKey::parse(kind, version) {
            Ok(key) => install::join(&self.inner, key).boxed(),
            Err(error) => futures_util::stream::iter([InstallEvent::Failed { error }]).boxed(),
        }
    }

    /// # Errors
    /// `Conflict` while an instance or another version needs it or an installation runs, `NotFound` when it is not there.
    pub(crate) async fn remove(&self, kind: &str, version: &str) -> Result<(), DriverError> {
        let key = VersionKey::parse(kind, version)?;
        // An installation may be about to build on this version.
        let Ok(_alone) = self.inner.worker.try_lock() else {
            return Err(DriverError::new(Reason::Conflict, "an installation is running: try again when it is done"));
        };
        self.blocking(move |inner| inner.remove(&key)).await
    }

    /// Notes that an instance uses its workload's versions, beside those that it used before. Returns whether it was
    /// known before.
    ///
    /// # Errors
    /// `VersionMissing` when one is not installed; nothing is noted then.
    pub(crate) async fn claim(&self, driver: &str, workload: &Workload) -> Result<bool, DriverError> {
        let keys = keys_of(workload)?;
        let (driver, id) = (driver.to_owned(), workload.id);
        self.blocking(move |inner| {
            let claims = inner.claims.lock();
            for key in &keys {
                if inner.installed(key)?.is_none() {
                    let message = format!("{key} is not installed: install it first");
                    return Err(DriverError::new(Reason::VersionMissing, message));
                }
            }
            claims.add(&driver, id, keys)
        })
        .await
    }

    /// Notes that an instance uses its workload's versions and no others any more.
    pub(crate) async fn narrow_claim(&self, driver: &str, workload: &Workload) -> Result<(), DriverError> {
        let keys = keys_of(workload)?;
        let (driver, id) = (driver.to_owned(), workload.id);
        self.blocking(move |inner| inner.claims.lock().set(&driver, id, keys)).await
    }

    /// Notes that an instance is gone.
    pub(crate) async fn release_claim(&self, id: InstanceId) -> Result<(), DriverError> {
        self.blocking(move |inner| inner.claims.lock().release(id)).await
    }

    /// Releases the claims of all of a driver's instances that are not in `ids`.
    pub(crate) async fn retain_claims(&self, driver: &str, ids: BTreeSet<InstanceId>) -> Result<(), DriverError> {
        let driver = driver.to_owned();
        self.blocking(move |inner| inner.claims.lock().retain(&driver, &ids)).await
    }

    /// Waits for installations that were cancelled to clean up behind themselves.
    pub(crate) async fn drain(&self) {
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|_| Err(DriverError::new(Reason::Internal, "the version store failed; see the node's log")))
    }
}

impl Inner {
    fn dir_of(&self, key: &VersionKey) -> PathBuf {
        self.root.join(key.kind()).join(key.version())
    }

    fn installer(&self, key: &VersionKey) -> Result<&Arc<dyn VersionInstaller>, DriverError> {
        self.installers
            .get(key.kind())
            .ok_or_else(|| DriverError::new(Reason::NotFound, format!("this node cannot install `{}`", key.kind())))
    }

    fn installed(&self, key: &VersionKey) -> Result<Option<VersionInfo>, DriverError> {
        publish::read_info(&self.dir_of(key)).map_err(|err| DriverError::io(&format!("cannot read {key}"), &err))
    }

    fn list(&self) -> Result<Vec<VersionInfo>, DriverError> {
        let failed = |err: io::Error| DriverError::io("cannot list the installed versions", &err);
        let mut found = Vec::new();
        for kind in names_in(&self.root).map_err(failed)? {
            for version in names_in(&self.root.join(&kind)).map_err(failed)? {
                // Names that are not ours (an operator's own folder, the staging area) are left alone.
                let Ok(key) = VersionKey::parse(&kind, &version) else { continue };
                found.extend(self.installed(&key)?);
            }
        }
        found.sort_by(|a, b| (&a.kind, &a.version).cmp(&(&b.kind, &b.version)));
        Ok(found)
    }

    fn remove(&self, key: &VersionKey) -> Result<(), DriverError> {
        let claims = self.claims.lock();
        if self.installed(key)?.is_none() {
            return Err(DriverError::new(Reason::NotFound, format!("{key} is not installed")));
        }
        let users = claims.users_of(key)?;
        if let Some(first) = users.first() {
            let message = format!("{key} is used by {} instance(s), {first} for one: remove those first", users.len());
            return Err(DriverError::new(Reason::Conflict, message));
        }
        let needed_by = self
            .list()?
            .into_iter()
            .find(|info| info.needs.iter().any(|(kind, version)| kind == key.kind() && version == key.version()));
        if let Some(info) = needed_by {
            let message = format!("{key} is needed by {} {}: remove that first", info.kind, info.version);
            return Err(DriverError::new(Reason::Conflict, message));
        }
        let trash = self.staging.join(format!("removed-{key}-{}", install::attempt()));
        let failed = |err: io::Error| DriverError::io(&format!("cannot remove {key}"), &err);
        publish::withdraw(&self.dir_of(key), &trash).map_err(failed)?;
        // It is gone for everyone now; the rest is only disk space.
        drop(claims);
        publish::remove_tree(&trash).map_err(failed)
    }
}

fn keys_of(workload: &Workload) -> Result<BTreeSet<VersionKey>, DriverError> {
    workload.versions.iter().map(|(kind, version)| VersionKey::parse(kind, version)).collect()
}

/// Names of the folders in a folder.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}
