//! What a program may no longer do once its file system stands: limits, capabilities, Landlock, system calls.
//!
//! Each wall is put up on the calling process and inherited by everything it starts; none can be taken down again.

pub(crate) mod landlock;
pub(crate) mod seccomp;

use std::io;

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs},
};

use crate::{
    error::{At, SetupError, Step},
    sys,
};

/// Open files of one process.
const OPEN_FILES_MAX: u64 = 65_536;
/// Numbers of capabilities are below this in every kernel.
const CAPABILITIES_MAX: u32 = 64;

/// No core dumps (they hold secrets), and no more than a sane number of open files.
pub(crate) fn set_limits() -> Result<(), SetupError> {
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).min(OPEN_FILES_MAX);
    for (resource, limit) in [(Resource::Nofile, files), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).at(Step::SetLimits)?;
    }
    Ok(())
}

/// Gives up every capability in every set, and the means of getting one back.
pub(crate) fn drop_capabilities() -> Result<(), SetupError> {
    drop_bounding_set().at(Step::DropCapabilities)?;
    clear_ambient_capability_set().at(Step::DropCapabilities)?;
    keep_capabilities(CapabilitySet::empty()).at(Step::DropCapabilities)?;
    set_no_new_privs(true).at(Step::DropCapabilities)
}

/// Keeps only `kept` of the capabilities that are held now.
pub(crate) fn keep_capabilities(kept: CapabilitySet) -> io::Result<()> {
    let held = rustix::thread::capabilities(None)?.permitted & kept;
    set_capabilities(None, CapabilitySets { effective: held, permitted: held, inheritable: CapabilitySet::empty() })?;
    Ok(())
}

pub(crate) fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..CAPABILITIES_MAX {
        if !sys::drop_bounding(capability)? {
            break;
        }
    }
    Ok(())
}
