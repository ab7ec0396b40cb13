//! Which instance has which versions mounted, kept on disk: one small file per instance, replaced whole.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use reef_driver::{DriverError, Reason};
use reef_types::InstanceId;
use serde::{Deserialize, Serialize};

use super::name::VersionKey;
use crate::NodeError;

/// The folder of claims. Callers hold the lock around it while they decide something by what it says.
#[derive(Debug)]
pub(super) struct Claims {
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    driver: String,
    versions: Vec<(String, String)>,
}

impl Claims {
    pub(super) fn open(dir: PathBuf) -> Result<Self, NodeError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|err| NodeError::io("cannot create", &dir, err))?;
        Ok(Self { dir })
    }

    /// Adds to what an instance claims; returns whether it claimed anything before.
    pub(super) fn add(&self, driver: &str, id: InstanceId, keys: BTreeSet<VersionKey>) -> Result<bool, DriverError> {
        let before = self.read(id)?;
        let was_known = before.is_some();
        let mut versions = before.map(|claim| claim.versions).unwrap_or_default();
        versions.extend(pairs(keys));
        versions.sort();
        versions.dedup();
        self.write(id, &Claim { driver: driver.to_owned(), versions })?;
        Ok(was_known)
    }

    /// Replaces what an instance claims.
    pub(super) fn set(&self, driver: &str, id: InstanceId, keys: BTreeSet<VersionKey>) -> Result<(), DriverError> {
        self.write(id, &Claim { driver: driver.to_owned(), versions: pairs(keys).collect() })
    }

    pub(super) fn release(&self, id: InstanceId) -> Result<(), DriverError> {
        match fs::remove_file(self.path(id)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(failed("cannot drop a claim on versions", &err)),
            _ => Ok(()),
        }
    }

    /// Releases a driver's claims by instances that are not among `ids`.
    pub(super) fn retain(&self, driver: &str, ids: &BTreeSet<InstanceId>) -> Result<(), DriverError> {
        for id in self.ids()? {
            if !ids.contains(&id) && self.read(id)?.is_some_and(|claim| claim.driver == driver) {
                self.release(id)?;
            }
        }
        Ok(())
    }

    pub(super) fn users_of(&self, key: &VersionKey) -> Result<Vec<InstanceId>, DriverError> {
        let mut users = Vec::new();
        for id in self.ids()? {
            let uses = |claim: &Claim| claim.versions.iter().any(|(kind, v)| kind == key.kind() && v == key.version());
            if self.read(id)?.as_ref().is_some_and(uses) {
                users.push(id);
            }
        }
        Ok(users)
    }

    fn ids(&self) -> Result<Vec<InstanceId>, DriverError> {
        let cannot = |err| failed("cannot list the claims on versions", &err);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            // Temporary files of a killed write are no claims.
            ids.extend(
                name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(|id| id.parse::<InstanceId>().ok()),
            );
        }
        ids.sort();
        Ok(ids)
    }

    fn read(&self, id: InstanceId) -> Result<Option<Claim>, DriverError> {
        match fs::read(self.path(id)) {
            // An unreadable claim must not look like none: a version in use could be removed.
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| {
                DriverError::new(Reason::Internal, format!("{} is damaged: remove it", self.path(id).display()))
            }),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(failed("cannot read a claim on versions", &err)),
        }
    }

    fn write(&self, id: InstanceId, claim: &Claim) -> Result<(), DriverError> {
        let json = serde_json::to_vec(claim)
            .map_err(|_| DriverError::new(Reason::Internal, "cannot write down a claim on versions"))?;
        let temporary = self.dir.join(format!("{id}.new"));
        replace(&temporary, &self.path(id), &json).map_err(|err| failed("cannot write a claim on versions", &err))
    }

    fn path(&self, id: InstanceId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn failed(what: &str, err: &io::Error) -> DriverError {
    DriverError::io(what, err)
}

fn pairs(keys: BTreeSet<VersionKey>) -> impl Iterator<Item = (String, String)> {
    keys.into_iter().map(|key| (key.kind().to_owned(), key.version().to_owned()))
}

/// Replaces a file whole and for good: after a power cut there is the old one or the new one.
fn replace(temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    fs::File::open(path.parent().unwrap_or(path))?.sync_all()
}
