//! From a workload to what the shim is told.

use std::{
    io,
    path::{Path, PathBuf},
};

use reef_driver::{DriverError, Reason, SecretFile, Workload, sandbox_paths};
use reef_sandbox::{InstanceSpec, Limits, Mount, ProgramSpec, Secret};

use crate::{
    ProcessConfig,
    layout::{DATA, InstanceDir},
};

/// The order to the shim.
///
/// # Errors
/// `VersionMissing` when the store lacks one of the versions.
pub(super) fn instance_spec(
    config: &ProcessConfig,
    dir: &InstanceDir,
    workload: &Workload,
) -> Result<InstanceSpec, DriverError> {
    let mut mounts = Vec::new();
    for (name, inside) in DATA {
        mounts.push(Mount { host: resolve(&dir.path.join(name))?, sandbox: PathBuf::from(inside), writable: true });
    }
    for (kind, version) in &workload.versions {
        mounts.push(version_mount(&config.versions, kind, version)?);
    }
    let resources = &workload.resources;
    Ok(InstanceSpec {
        program: ProgramSpec {
            hostname: workload.name.to_string(),
            host_uid: dir.host_uid.unwrap_or_default(),
            argv: workload.argv.clone(),
            env: workload.env.clone(),
            cwd: workload.cwd.clone(),
            mounts,
            limits: Limits {
                memory_bytes: resources.memory_bytes,
                cpus_milli: resources.cpus_milli,
                pids: resources.pids,
            },
            cgroup: workload.id.to_string(),
        },
        generation: workload.generation,
        doors: workload.doors.clone(),
        run_dir: resolve(&dir.run())?,
        log_dir: resolve(&dir.logs())?,
    })
}

pub(super) fn secrets(secrets: &[SecretFile]) -> Vec<Secret> {
    secrets.iter().map(|secret| Secret { name: secret.name.clone(), value: secret.value.clone() }).collect()
}

fn version_mount(store: &Path, kind: &str, version: &str) -> Result<Mount, DriverError> {
    if !is_plain(kind) || !is_plain(version) {
        return Err(DriverError::new(Reason::Invalid, format!("not a version: {kind:?} {version:?}")));
    }
    let relative = Path::new(kind).join(version);
    let host = store.join(&relative).canonicalize().map_err(|err| match err.kind() {
        io::ErrorKind::NotFound => {
            DriverError::new(Reason::VersionMissing, format!("{kind} {version} is not installed on this node"))
        }
        _ => DriverError::io("cannot open the version store", &err),
    })?;
    Ok(Mount { host, sandbox: Path::new(sandbox_paths::VERSIONS).join(relative), writable: false })
}

fn is_plain(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    !part.is_empty() && part.bytes().all(allowed) && !part.starts_with('.')
}

/// The shim works from the root folder, and whoever starts it may have a relative path.
fn resolve(path: &Path) -> Result<PathBuf, DriverError> {
    path.canonicalize().map_err(|err| DriverError::io("cannot open the instance's folder", &err))
}
