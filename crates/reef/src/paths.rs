//! Where things are below the data directory.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Longest path of a data directory, in bytes: `/run/node.sock` below it has to fit into the 108 bytes of a socket's
/// address, its end included (unix(7)).
const ROOT_BYTES_MAX: usize = 108 - 1 - "/run/node.sock".len();

/// The data directory and its parts.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
    /// Database and vault key: the hub's alone.
    pub(crate) hub: PathBuf,
    /// Versions and instances: the node's alone.
    pub(crate) node: PathBuf,
    /// Sockets.
    pub(crate) run: PathBuf,
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
            logs: root.join("logs"),
            root,
        };
        for dir in [&paths.root, &paths.hub, &paths.node, &paths.run, &paths.logs] {
            private(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        Ok(paths)
    }

    /// Where the command line finds the hub.
    pub(crate) fn hub_socket(&self) -> PathBuf {
        self.run.join("hub.sock")
    }

    /// Where the hub finds the node.
    pub(crate) fn node_socket(&self) -> PathBuf {
        self.run.join("node.sock")
    }

    /// The address that the hub listens at, for whoever let it choose the port.
    pub(crate) fn address(&self) -> PathBuf {
        self.run.join("hub.addr")
    }

    /// Held by `reef up` as long as it runs; holds its process id.
    pub(crate) fn up_lock(&self) -> PathBuf {
        self.run.join("up.lock")
    }
}
