//! Where things are below the data directory.

mod give;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use reef_sandbox::ids::HUB_HOST_UID;

/// Longest path of a data directory, in bytes: `/ctl/node.sock` below it has to fit into the 108 bytes of a socket's
/// address, its end included (unix(7)).
const ROOT_BYTES_MAX: usize = 108 - 1 - "/ctl/node.sock".len();

/// The group is the hub's where root starts it; everybody else is stopped at the data directory already.
const PASSED_THROUGH: u32 = 0o710;
/// Held by `reef up`; directly in the data directory, which the hub cannot write.
pub(crate) const UP_LOCK: &str = "up.lock";

/// The data directory and its parts.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
    /// Database and vault key: the hub's alone.
    pub(crate) hub: PathBuf,
    /// Versions and instances: the node's alone.
    pub(crate) node: PathBuf,
    /// The hub's socket and address: the hub's alone, because whoever may write here chooses what is at these names.
    pub(crate) run: PathBuf,
    /// The node's socket: made by the node, and only passed through by the hub.
    pub(crate) ctl: PathBuf,
    pub(crate) logs: PathBuf,
}

impl Paths {
    /// Makes the folders, closed to everybody else.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let private = |dir: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        private(root)?;
        let root = root.canonicalize()?;
        if root.as_os_str().len() > ROOT_BYTES_MAX {
            let message =
                format!("its path is longer than {ROOT_BYTES_MAX} bytes, which sockets below it do not allow");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let paths = Self {
            hub: root.join("hub"),
            node: root.join("node"),
            run: root.join("run"),
            ctl: root.join("ctl"),
            logs: root.join("logs"),
            root,
        };
        for dir in [&paths.root, &paths.hub, &paths.node, &paths.run, &paths.ctl, &paths.logs] {
            private(dir)?;
            let mode = if *dir == paths.ctl { PASSED_THROUGH } else { 0o700 };
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
        }
        Ok(paths)
    }

    /// Where root starts Reef: gives the hub's folders to the hub's user, with all that an earlier version left there, and
    /// lets that user reach the node's socket.
    pub(crate) fn give_to_hub(&self) -> io::Result<()> {
        for dir in [&self.hub, &self.run] {
            give::folder(dir, HUB_HOST_UID)?;
        }
        chown(&self.ctl, None, Some(HUB_HOST_UID))
    }

    /// Where the command line finds the hub.
    pub(crate) fn hub_socket(&self) -> PathBuf {
        self.run.join("hub.sock")
    }

    /// Where the hub finds the node.
    pub(crate) fn node_socket(&self) -> PathBuf {
        self.ctl.join("node.sock")
    }

    /// The address that the hub listens at, for whoever let it choose the port.
    pub(crate) fn address(&self) -> PathBuf {
        self.run.join("hub.addr")
    }

    /// Held by `reef up` as long as it runs; holds its process id.
    pub(crate) fn up_lock(&self) -> PathBuf {
        self.root.join(UP_LOCK)
    }
}
