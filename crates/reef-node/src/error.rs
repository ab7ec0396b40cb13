//! Why a node could not start.

use std::{io, path::PathBuf};

/// A failure of the node itself, not of a verb.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("another node (pid {pid}) already uses {}: stop it, or choose another data directory", .data_dir.display())]
    Locked { data_dir: PathBuf, pid: String },
    #[error("{what} {}", .path.display())]
    Io {
        /// What was tried: `cannot create`.
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("two parts of this node answer for `{0}`")]
    Duplicate(String),
}

impl NodeError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { what, path: path.into(), source }
    }
}
