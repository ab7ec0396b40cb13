//! What the host knows: processes, cgroups, network namespaces, files.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal};
use serde_json::Value;

/// Where cgroups of either version are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Tries to remove a cgroup whose processes were just killed.
const REMOVALS_MAX: usize = 500;

/// Numbers of all processes.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// All processes and their arguments; one that ends meanwhile has none.
pub(crate) fn command_lines() -> impl Iterator<Item = (u32, Vec<String>)> {
    pids().map(|pid| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, text.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect())
    })
}

pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

pub(crate) fn terminate(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
}

/// Folders of the instances below a data directory.
pub(crate) fn instance_dirs(data_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir.join("node/instances")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// The shim of a running instance.
pub(crate) fn shim_of(instance: &Path) -> Option<u32> {
    Some(record(instance)?["shim"]["pid"].as_u64()?.try_into().unwrap())
}

/// The first process inside.
pub(crate) fn init_of(instance: &Path) -> Option<u32> {
    Some(record(instance)?["init"]["pid"].as_u64()?.try_into().unwrap())
}

fn record(instance: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(instance.join("run/shim.json")).ok()?).ok()
}

/// The agent itself: the only child of the first process that is there from the start.
pub(crate) fn gateway_of(instance: &Path) -> Option<u32> {
    let init = init_of(instance)?;
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Processes that see a folder of this instance under a name of its own: those in its sandbox.
pub(crate) fn members(id: &str) -> BTreeSet<u32> {
    let sees = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|text| text.contains(id));
    pids().filter(sees).collect()
}

/// Members that run this program.
pub(crate) fn members_running(id: &str, program: &str) -> Vec<u32> {
    let runs = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == program);
    members(id).into_iter().filter(runs).collect()
}

/// How many processes of an instance the kernel has killed for their memory.
pub(crate) fn memory_kills(id: &str) -> u64 {
    // Version 1 and version 2 say it in different files, in the same words.
    let files =
        cgroups(id).into_iter().flat_map(|dir| ["memory.oom_control", "memory.events"].map(|name| dir.join(name)));
    let kills = |text: String| text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok());
    files.filter_map(|file| kills(fs::read_to_string(file).ok()?)).sum()
}

/// The network namespace of a process.
pub(crate) fn network_of(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/net")).unwrap().ino()
}

/// Whether any process is in this network namespace.
pub(crate) fn network_is_used(network: u64) -> bool {
    pids().any(|pid| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|found| found.ino() == network))
}

/// Cgroups whose name has the id of an instance in it.
pub(crate) fn cgroups(id: &str) -> Vec<PathBuf> {
    paths_with(Path::new(CGROUPS), id)
}

/// Removes the cgroups of an instance that was killed: nobody is left to do it.
pub(crate) fn remove_cgroups(instance: &Path) {
    let id = instance.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A process that was killed takes a moment to go.
    for _ in 0..REMOVALS_MAX {
        if cgroups(&id).into_iter().filter(|dir| fs::remove_dir(dir).is_err()).count() == 0 {
            return;
        }
        std::thread::yield_now();
    }
}

/// Everything below a folder whose own name has this text in it.
pub(crate) fn paths_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(text) {
            found.push(entry.path());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(paths_with(&entry.path(), text));
        }
    }
    found
}

/// Regular files below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// Installed versions are read-only, and an ordinary user cannot remove what is in a folder that is.
pub(crate) fn make_removable(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    if let Ok(metadata) = fs::metadata(dir) {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(metadata.mode() | 0o700));
    }
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        make_removable(&entry.path());
    }
}
