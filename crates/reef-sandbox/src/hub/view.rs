//! What the hub sees of the machine where root started it: programs, certificates, names, and its own folders at their
//! places. Not the sockets of anybody else, nor the data of instances.

use std::path::{Path, PathBuf};

use rustix::{fs::Mode, mount::MountFlags, thread::UnshareFlags};

use crate::{
    error::{At, SetupError, Step},
    mounts::{self, DEVICE, READ_ONLY, READ_WRITE, Tree, clone_tree, inside},
    sys,
};

/// Beside the programs; what is not there is not needed. SUSE keeps its certificates below /var/lib.
const READ: &[&str] = &["/etc", "/proc", "/run/systemd/resolve", "/var/lib/ca-certificates"];
/// A link to wherever the servers of names are written down.
const NAME_SERVERS: &str = "/etc/resolv.conf";
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
/// Folders that are taken over as they are, with the modes of their parts: nothing can be put below them.
const TAKEN: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/proc"];

const SKELETON_OPTIONS: &str = "mode=755,size=1m";
const DATA: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Makes it the root of this process, which must have one thread and be root.
pub(super) fn enter(write: &[PathBuf], read: &[PathBuf]) -> Result<(), SetupError> {
    if sys::threads() != 1 {
        return Err(SetupError::new(Step::MakeNamespaces, "the process has threads already"));
    }
    refuse_taken(write.iter().chain(read))?;
    sys::unshare(UnshareFlags::NEWNS).at(Step::MakeNamespaces)?;
    mounts::keep_private()?;
    // All of it before the stage is covered: what is asked for may lie below it.
    let trees = clone_trees(write, read)?;
    mounts::enter_stage(SKELETON_OPTIONS, MountFlags::NOEXEC)?;
    // The folders on the way are root's, and the hub has to pass through them.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o022));
    let built = mounts::link_system().and_then(|()| trees.iter().try_for_each(mounts::place));
    rustix::process::umask(mask);
    built?;
    mounts::switch_root()
}

fn refuse_taken<'a>(mut folders: impl Iterator<Item = &'a PathBuf>) -> Result<(), SetupError> {
    let bad = folders.find(|folder| TAKEN.iter().any(|taken| folder.starts_with(taken)));
    bad.map_or(Ok(()), |folder| {
        let text = format!("{} is in a folder of the system; choose another", folder.display());
        Err(SetupError::new(Step::BuildRoot, text))
    })
}

fn clone_trees(write: &[PathBuf], read: &[PathBuf]) -> Result<Vec<Tree>, SetupError> {
    let mut trees = mounts::clone_system()?;
    let tree = |path: &Path, attributes: u64| clone_tree(path, &inside(path)?, attributes);
    for path in READ.iter().map(Path::new).filter(|path| path.exists()) {
        trees.push(tree(path, READ_ONLY | libc::MOUNT_ATTR_NOEXEC)?);
    }
    if let Ok(file) = Path::new(NAME_SERVERS).canonicalize()
        && !READ.iter().chain(TAKEN).any(|seen| file.starts_with(seen))
    {
        trees.push(tree(&file, READ_ONLY | libc::MOUNT_ATTR_NOEXEC)?);
    }
    for path in DEVICES.iter().map(Path::new).filter(|path| path.exists()) {
        trees.push(tree(path, DEVICE)?);
    }
    for path in read {
        trees.push(tree(path, READ_ONLY | DATA)?);
    }
    for path in write {
        trees.push(tree(path, READ_WRITE | DATA)?);
    }
    Ok(trees)
}
