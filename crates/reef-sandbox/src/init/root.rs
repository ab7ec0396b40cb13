//! The root file system of a sandbox: an empty one in memory, with the host's programs read-only, a small `/etc` of its
//! own, and the folders that were asked for. Everything else of the host is not there at all.

mod etc;
mod limits;

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

use super::Kind;
use crate::{
    error::{At, SetupError, Step},
    spec::{ProgramSpec, SECRETS_PATH},
    sys,
};

/// Any folder that every host has; it is covered in this mount namespace only.
const STAGE: &str = "/tmp";
/// Top-level folders with programs; a link on the host becomes the same link inside.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Parts of /proc that show or steer the whole machine: not writable, or not there.
const PROC_READ_ONLY: &[&str] = &["sys", "irq", "bus", "fs", "pressure", "sysrq-trigger"];
const PROC_HIDDEN_FILES: &[&str] = &["kcore", "keys", "timer_list", "kallsyms", "kmsg", "latency_stats", "sched_debug"];
const PROC_HIDDEN_FOLDERS: &[&str] = &["acpi", "asound", "scsi"];

const SKELETON_OPTIONS: &str = "mode=755,size=8m";
// Empty files cost memory too, about a kilobyte each, which no end of a process gives back.
const TMP_OPTIONS: &str = "mode=1777,size=1g,nr_inodes=262144";
const SHM_OPTIONS: &str = "mode=1777,size=256m,nr_inodes=16384";
const SECRETS_OPTIONS: &str = "mode=700,size=1m,nr_inodes=128";

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const READ_WRITE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// Something of the host, detached from its place and not yet put in its new one.
struct Tree {
    fd: OwnedFd,
    /// Relative to the new root.
    target: PathBuf,
    is_dir: bool,
}

/// Builds the root and makes it this process's root. Returns the folder for secrets, if this kind has one.
pub(super) fn build(spec: &ProgramSpec, kind: Kind, owner: u32) -> Result<Option<OwnedFd>, SetupError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at(Step::CloneMounts)?;
    // All of it before the stage is covered: what is asked for may lie below it.
    let trees = clone_trees(spec)?;
    let etc = etc::Etc::read(&spec.hostname, kind);

    mount_memory(STAGE, SKELETON_OPTIONS, MountFlags::NOSUID | MountFlags::NODEV).at(Step::BuildRoot)?;
    rustix::process::chdir(STAGE).at(Step::BuildRoot)?;
    link_system()?;
    etc.write(Path::new("etc")).at(Step::BuildRoot)?;
    limits::write(Path::new("sys/fs/cgroup"), &spec.limits).at(Step::BuildRoot)?;
    mount_proc()?;
    mount_memory_at("tmp", TMP_OPTIONS, MountFlags::empty())?;
    mount_memory_at("dev/shm", SHM_OPTIONS, MountFlags::empty())?;
    mount_terminals()?;
    let secrets = if kind == Kind::Task { None } else { Some(mount_secrets(owner)?) };
    fs::create_dir_all("run").at(Step::BuildRoot)?;
    for tree in &trees {
        place(tree)?;
    }
    switch_root()?;
    Ok(secrets)
}

fn clone_trees(spec: &ProgramSpec) -> Result<Vec<Tree>, SetupError> {
    let mut trees = Vec::new();
    for name in SYSTEM {
        let host = Path::new("/").join(name);
        if host.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            trees.push(clone_tree(&host, Path::new(name), READ_ONLY)?);
        }
    }
    for name in etc::FOLDERS {
        let host = Path::new("/etc").join(name);
        if host.is_dir() {
            trees.push(clone_tree(&host, &Path::new("etc").join(name), READ_ONLY)?);
        }
    }
    for name in DEVICES {
        trees.push(clone_tree(&Path::new("/dev").join(name), &Path::new("dev").join(name), DEVICE)?);
    }
    for mount in &spec.mounts {
        let attributes = if mount.writable { READ_WRITE } else { READ_ONLY };
        trees.push(clone_tree(&mount.host, &inside(&mount.sandbox)?, attributes)?);
    }
    Ok(trees)
}

fn clone_tree(host: &Path, target: &Path, attributes: u64) -> Result<Tree, SetupError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let fd = open_tree(CWD, host, flags).at_path(Step::CloneMounts, host)?;
    sys::mount_setattr(fd.as_fd(), attributes, true).at_path(Step::CloneMounts, host)?;
    let is_dir = rustix::fs::fstat(&fd)
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
        .at_path(Step::CloneMounts, host)?;
    Ok(Tree { fd, target: target.to_path_buf(), is_dir })
}

/// A path of the specification, made relative to the new root.
fn inside(path: &Path) -> Result<PathBuf, SetupError> {
    let bad = || SetupError::new(Step::CloneMounts, format!("not a plain absolute path: {}", path.display()));
    let relative = path.strip_prefix("/").map_err(|_| bad())?;
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    if plain && !relative.as_os_str().is_empty() { Ok(relative.to_path_buf()) } else { Err(bad()) }
}

fn place(tree: &Tree) -> Result<(), SetupError> {
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

fn attach(fd: &OwnedFd, target: &Path) -> io::Result<()> {
    Ok(move_mount(fd, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn link_system() -> Result<(), SetupError> {
    for name in SYSTEM {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(&target, name).at_path(Step::BuildRoot, name)?;
        }
    }
    Ok(())
}

fn mount_memory(target: &str, options: &str, flags: MountFlags) -> io::Result<()> {
    let options = std::ffi::CString::new(options)?;
    Ok(mount("tmpfs", target, "tmpfs", flags, Some(options.as_c_str()))?)
}

fn mount_memory_at(target: &str, options: &str, flags: MountFlags) -> Result<(), SetupError> {
    fs::create_dir_all(target).at_path(Step::BuildRoot, target)?;
    mount_memory(target, options, flags | MountFlags::NOSUID | MountFlags::NODEV).at_path(Step::BuildRoot, target)
}

fn mount_proc() -> Result<(), SetupError> {
    fs::create_dir_all("proc").at(Step::MountProc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "proc", "proc", flags, None).at(Step::MountProc)?;
    for name in PROC_READ_ONLY {
        cover(&Path::new("proc").join(name), None)?;
    }
    for name in PROC_HIDDEN_FILES {
        cover(&Path::new("proc").join(name), Some(Path::new("/dev/null")))?;
    }
    for name in PROC_HIDDEN_FOLDERS {
        let target = format!("proc/{name}");
        if Path::new(&target).is_dir() {
            mount_memory(&target, "mode=555,size=4k", MountFlags::RDONLY).at_path(Step::MountProc, &target)?;
        }
    }
    Ok(())
}

/// Puts a read-only view of `source`, or of the target itself, over the target; one that is not there needs none.
fn cover(target: &Path, source: Option<&Path>) -> Result<(), SetupError> {
    if !target.exists() {
        return Ok(());
    }
    let source = source.unwrap_or(target);
    let cover = || -> io::Result<()> {
        let fd = open_tree(CWD, source, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
        let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
        sys::mount_setattr(fd.as_fd(), attributes, false)?;
        attach(&fd, target)
    };
    cover().at_path(Step::MountProc, target)
}

fn mount_terminals() -> Result<(), SetupError> {
    fs::create_dir_all("dev/pts").at(Step::MountDevices)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("devpts", "dev/pts", "devpts", flags, Some(c"newinstance,ptmxmode=0666,mode=0620")).at(Step::MountDevices)?;
    for (name, target) in DEVICE_LINKS {
        symlink(target, Path::new("dev").join(name)).at_path(Step::MountDevices, name)?;
    }
    Ok(())
}

/// The shim writes through the mount that it gets a descriptor of; the program sees another one on top, read-only.
fn mount_secrets(owner: u32) -> Result<OwnedFd, SetupError> {
    let target = SECRETS_PATH.trim_start_matches('/');
    let options = format!("{SECRETS_OPTIONS},uid={owner},gid={owner}");
    mount_memory_at(target, &options, MountFlags::NOEXEC)?;
    let target = Path::new(target);
    let folder = rustix::fs::open(target, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .at(Step::PutSecrets)?;
    let view = clone_tree(target, target, READ_ONLY | libc::MOUNT_ATTR_NOEXEC)?;
    attach(&view.fd, target).at(Step::PutSecrets)?;
    Ok(folder)
}

/// The stage becomes the root; the host's root goes out of reach, and the skeleton can no longer be written.
fn switch_root() -> Result<(), SetupError> {
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
