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
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{MountFlags, OpenTreeFlags, mount, open_tree},
};

use super::Kind;
use crate::{
    error::{At, SetupError, Step},
    mounts::{
        self, DEVICE, READ_ONLY, READ_WRITE, Tree, attach, clone_tree, inside, mount_memory, mount_memory_at, place,
        switch_root,
    },
    spec::{ProgramSpec, SECRETS_PATH},
    sys,
};

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

/// Builds the root and makes it this process's root. Returns the folder for secrets, if this kind has one.
pub(super) fn build(spec: &ProgramSpec, kind: Kind, owner: u32) -> Result<Option<OwnedFd>, SetupError> {
    mounts::keep_private()?;
    // All of it before the stage is covered: what is asked for may lie below it.
    let trees = clone_trees(spec)?;
    let etc = etc::Etc::read(&spec.hostname, kind);

    mounts::enter_stage(SKELETON_OPTIONS, MountFlags::empty())?;
    mounts::link_system()?;
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
    let mut trees = mounts::clone_system()?;
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
