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

/// No core dumps (they hold secrets), no more than a sane number of open files, and as many processes as asked for, where
/// those of this sandbox alone are counted.
pub(crate) fn set_limits(pids: u32) -> Result<(), SetupError> {
    let up_to = |resource, wanted: u64| (resource, getrlimit(resource).maximum.unwrap_or(u64::MAX).min(wanted));
    let mut limits = vec![up_to(Resource::Nofile, OPEN_FILES_MAX), (Resource::Core, 0)];
    if processes_are_counted_apart() {
        // The shim of an ordinary user is in the same namespace.
        limits.push(up_to(Resource::Nproc, u64::from(pids) + 1));
    }
    for (resource, limit) in limits {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).at(Step::SetLimits)?;
    }
    Ok(())
}

/// Since Linux 5.14 `RLIMIT_NPROC` counts a user's processes per user namespace, not all over the machine.
pub(crate) fn processes_are_counted_apart() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
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
