//! Parts of a root file system made of pieces of the host: what both an agent's root and the hub's view are built from.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
        move_mount, open_tree, unmount,
    },
};

use crate::{
    error::{At, SetupError, Step},
    sys,
};

/// Any folder that every host has; it is covered in this mount namespace only.
const STAGE: &str = "/tmp";
/// Top-level folders with programs; a link on the host becomes the same link inside.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
pub(crate) const READ_WRITE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
pub(crate) const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// Something of the host, detached from its place and not yet put in its new one.
pub(crate) struct Tree {
    pub(crate) fd: OwnedFd,
    /// Relative to the new root.
    target: PathBuf,
    is_dir: bool,
}

/// Keeps what is mounted from here on from the rest of the machine. For a mount namespace of one's own.
pub(crate) fn keep_private() -> Result<(), SetupError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at(Step::CloneMounts)
}

/// Covers a folder that every host has with an empty root in memory, and goes there.
pub(crate) fn enter_stage(options: &str, flags: MountFlags) -> Result<(), SetupError> {
    mount_memory(STAGE, options, flags | MountFlags::NOSUID | MountFlags::NODEV).at(Step::BuildRoot)?;
    rustix::process::chdir(STAGE).at(Step::BuildRoot)
}

/// The host's top-level folders with programs, to be placed read-only; those that are links are made by [`link_system`].
pub(crate) fn clone_system() -> Result<Vec<Tree>, SetupError> {
    let folders = SYSTEM.iter().map(|name| (name, Path::new("/").join(name)));
    let real = folders.filter(|(_, host)| host.symlink_metadata().is_ok_and(|meta| meta.is_dir()));
    real.map(|(name, host)| clone_tree(&host, Path::new(name), READ_ONLY)).collect()
}

pub(crate) fn clone_tree(host: &Path, target: &Path, attributes: u64) -> Result<Tree, SetupError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let fd = open_tree(CWD, host, flags).at_path(Step::CloneMounts, host)?;
    sys::mount_setattr(fd.as_fd(), attributes, true).at_path(Step::CloneMounts, host)?;
    let is_dir = rustix::fs::fstat(&fd)
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
        .at_path(Step::CloneMounts, host)?;
    Ok(Tree { fd, target: target.to_path_buf(), is_dir })
}

/// A path of the specification, made relative to the new root.
pub(crate) fn inside(path: &Path) -> Result<PathBuf, SetupError> {
    let bad = || SetupError::new(Step::CloneMounts, format!("not a plain absolute path: {}", path.display()));
    let relative = path.strip_prefix("/").map_err(|_| bad())?;
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    if plain && !relative.as_os_str().is_empty() { Ok(relative.to_path_buf()) } else { Err(bad()) }
}

pub(crate) fn place(tree: &Tree) -> Result<(), SetupError> {
    let prepare = || -> io::Result<()> {
        if tree.is_dir {
            return fs::create_dir_all(&tree.target);
        }
        if let Some(parent) = tree.target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&tree.target, "")
    };
    prepare().at_path(Step::BuildRoot, &tree.target)?;
    attach(&tree.fd, &tree.target).at_path(Step::BuildRoot, &tree.target)
}

pub(crate) fn attach(fd: &OwnedFd, target: &Path) -> io::Result<()> {
    Ok(move_mount(fd, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Makes the same links in the folder that one is in.
pub(crate) fn link_system() -> Result<(), SetupError> {
    for name in SYSTEM {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(&target, name).at_path(Step::BuildRoot, name)?;
        }
    }
    Ok(())
}

pub(crate) fn mount_memory(target: &str, options: &str, flags: MountFlags) -> io::Result<()> {
    let options = std::ffi::CString::new(options)?;
    Ok(mount("tmpfs", target, "tmpfs", flags, Some(options.as_c_str()))?)
}

pub(crate) fn mount_memory_at(target: &str, options: &str, flags: MountFlags) -> Result<(), SetupError> {
    fs::create_dir_all(target).at_path(Step::BuildRoot, target)?;
    mount_memory(target, options, flags | MountFlags::NOSUID | MountFlags::NODEV).at_path(Step::BuildRoot, target)
}

/// The stage becomes the root; the host's root goes out of reach, and the skeleton can no longer be written.
pub(crate) fn switch_root() -> Result<(), SetupError> {
    let switch = || -> io::Result<()> {
        // The old root lands on top of the new one and is taken off again (pivot_root(2), NOTES).
        rustix::process::pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        sys::mount_setattr(root.as_fd(), READ_ONLY, false)
    };
    switch().at(Step::SwitchRoot)
}
