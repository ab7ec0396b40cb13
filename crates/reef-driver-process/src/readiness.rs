//! Waiting for descriptors that the runtime has no type of its own for.

use std::{io, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Registers a non-blocking descriptor with the runtime.
///
/// # Errors
/// When the runtime is out of descriptors.
#[expect(deprecated, reason = "its successor is unsafe for types that may change their descriptor; this type cannot")]
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}
