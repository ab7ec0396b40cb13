//! The folders of instances on disk, and the host uids that own them.
//!
//! `<root>/<id>/` holds `state`, `workspace` and `home` (owned by the instance's uid), `logs` and `run` (owned by the
//! node), and `instance.json`. All of it is 0700.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use reef_driver::{DriverError, Reason, sandbox_paths};
use reef_sandbox::ids::{INSTANCE_HOST_UID_FIRST, INSTANCE_HOST_UIDS_MAX};
use reef_types::InstanceId;
use serde::{Deserialize, Serialize};

const META_FILE: &str = "instance.json";
pub(crate) const RUN: &str = "run";
pub(crate) const LOGS: &str = "logs";
/// Folders of the agent, and where it sees them.
pub(crate) const DATA: [(&str, &str); 3] =
    [("state", sandbox_paths::STATE), ("workspace", sandbox_paths::WORKSPACE), ("home", sandbox_paths::HOME)];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    /// None where the driver runs as an ordinary user.
    host_uid: Option<u32>,
}

/// All instances of this driver.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    as_root: bool,
    /// Held while a uid is chosen and written down.
    uids: Mutex<()>,
}

/// The folder of one instance.
#[derive(Debug, Clone)]
pub(crate) struct InstanceDir {
    pub(crate) path: PathBuf,
    pub(crate) host_uid: Option<u32>,
}

impl InstanceDir {
    pub(crate) fn run(&self) -> PathBuf {
        self.path.join(RUN)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join(LOGS)
    }
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, as_root: reef_sandbox::shim::runs_as_host_root(), uids: Mutex::new(()) }
    }

    pub(crate) fn path(&self, id: InstanceId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// # Errors
    /// `NotFound` when there is no such instance.
    pub(crate) fn open(&self, id: InstanceId) -> Result<InstanceDir, DriverError> {
        let path = self.path(id);
        if !path.is_dir() {
            return Err(DriverError::new(Reason::NotFound, format!("there is no instance {id} on this node")));
        }
        let host_uid = read_meta(&path).and_then(|meta| meta.host_uid);
        Ok(InstanceDir { path, host_uid })
    }

    /// Makes what is missing. Nothing that is there already changes its owner.
    pub(crate) fn create(&self, id: InstanceId) -> io::Result<InstanceDir> {
        make_dir(&self.root)?;
        let path = self.path(id);
        make_dir(&path)?;
        let host_uid = self.assign_uid(&path)?;
        for name in [RUN, LOGS] {
            make_dir(&path.join(name))?;
        }
        for (name, _) in DATA {
            let dir = path.join(name);
            // The parent is not the agent's: what is there is what was made here.
            if !dir.is_dir() {
                make_dir(&dir)?;
                if let Some(uid) = host_uid {
                    chown(&dir, Some(uid), Some(uid))?;
                }
            }
        }
        Ok(InstanceDir { path, host_uid })
    }

    /// Every instance that has a folder.
    pub(crate) fn list(&self) -> io::Result<Vec<InstanceId>> {
        match fs::read_dir(&self.root) {
            Ok(entries) => Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    }

    /// A uid stays taken for as long as the folder is there, with or without a running instance.
    fn assign_uid(&self, path: &Path) -> io::Result<Option<u32>> {
        let _held = self.uids.lock();
        if let Some(meta) = read_meta(path) {
            return Ok(meta.host_uid);
        }
        let host_uid = if self.as_root { Some(self.free_uid()?) } else { None };
        write_meta(path, &Meta { host_uid })?;
        Ok(host_uid)
    }

    fn free_uid(&self) -> io::Result<u32> {
        let taken: BTreeSet<u32> =
            self.list()?.into_iter().filter_map(|id| read_meta(&self.path(id))?.host_uid).collect();
        (INSTANCE_HOST_UID_FIRST..INSTANCE_HOST_UID_FIRST + INSTANCE_HOST_UIDS_MAX)
            .find(|uid| !taken.contains(uid))
            .ok_or_else(|| io::Error::new(io::ErrorKind::QuotaExceeded, "all host uids for instances are taken"))
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn read_meta(path: &Path) -> Option<Meta> {
    serde_json::from_slice(&fs::read(path.join(META_FILE)).ok()?).ok()
}

fn write_meta(path: &Path, meta: &Meta) -> io::Result<()> {
    let temporary = path.join(format!("{META_FILE}.new"));
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    io::Write::write_all(&mut file, &serde_json::to_vec(meta)?)?;
    file.sync_all()?;
    fs::rename(temporary, path.join(META_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_kept_while_the_folder_is_and_free_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { root: root.path().to_path_buf(), as_root: false, uids: Mutex::new(()) };
        let ids = [InstanceId::new(), InstanceId::new()];
        for (id, uid) in ids.iter().zip([INSTANCE_HOST_UID_FIRST, INSTANCE_HOST_UID_FIRST + 1]) {
            fs::create_dir(layout.path(*id)).unwrap();
            assert_eq!(layout.free_uid().unwrap(), uid);
            write_meta(&layout.path(*id), &Meta { host_uid: Some(uid) }).unwrap();
        }
        assert_eq!(layout.assign_uid(&layout.path(ids[1])).unwrap(), Some(INSTANCE_HOST_UID_FIRST + 1));
        fs::remove_dir_all(layout.path(ids[0])).unwrap();
        assert_eq!(layout.free_uid().unwrap(), INSTANCE_HOST_UID_FIRST);
    }
}
