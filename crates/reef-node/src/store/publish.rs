//! Turning a filled staging folder into an installed version, and back into nothing.
//!
//! Nothing else writes to these trees while this code walks them: the task that filled one has ended with all its
//! children. That is why plain paths are enough; links are never followed all the same.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use reef_driver::VersionInfo;

/// Metadata inside the version's folder, so that it appears and disappears with it.
const INFO_FILE: &str = ".reef-version.json";

/// What a tree must not hold, or why it could not be made permanent.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error("{0} is neither a file, a folder nor a link")]
    Special(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The metadata of an installed version; none when there is no such version.
pub(super) fn read_info(dir: &Path) -> io::Result<Option<VersionInfo>> {
    match fs::read(dir.join(INFO_FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .inspect_err(|err| tracing::warn!(dir = %dir.display(), %err, "a version is damaged and counts as missing"))
            .ok()),
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(err) => Err(err),
    }
}

/// Makes `staging` the installed version `dir`: owned by this user, without write or set-id bits, on disk, and then at its
/// name in one step. Returns the metadata with the size filled in.
pub(super) fn publish(staging: &Path, dir: &Path, mut info: VersionInfo) -> Result<VersionInfo, PublishError> {
    own(staging, &fs::symlink_metadata(staging)?)?;
    info.size_bytes = seal_children(staging)?;
    let json = serde_json::to_vec_pretty(&info).map_err(io::Error::from)?;
    let info_path = staging.join(INFO_FILE);
    // The installed software does not get to describe itself.
    match fs::symlink_metadata(&info_path) {
        Ok(found) if found.is_dir() => remove_tree(&info_path)?,
        Ok(_) => fs::remove_file(&info_path)?,
        Err(_) => {}
    }
    fs::write(&info_path, json)?;
    fs::set_permissions(&info_path, fs::Permissions::from_mode(0o444))?;
    // One call for tens of thousands of files; fsync of each takes minutes on slow disks.
    rustix::fs::syncfs(fs::File::open(staging)?).map_err(io::Error::from)?;
    let parent = dir.parent().ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::create_dir_all(parent)?;
    fs::rename(staging, dir)?;
    // Only now: moving a folder needs the right to write to it, unless one is root.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o555))?;
    fs::File::open(parent)?.sync_all()?;
    Ok(info)
}

/// Takes an installed version away from its name in one step.
pub(super) fn withdraw(dir: &Path, trash: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    fs::rename(dir, trash)?;
    fs::File::open(dir.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

/// Removes a tree, read-only folders and all. No tree is no error.
pub(super) fn remove_tree(root: &Path) -> io::Result<()> {
    fn make_writable(dir: &Path) -> io::Result<()> {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                make_writable(&entry.path())?;
            }
        }
        Ok(())
    }
    match fs::symlink_metadata(root) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
        Ok(found) if found.is_dir() => {}
        Ok(_) => return fs::remove_file(root),
    }
    // Root needs no write bits, and may be kept from chmod by what it may otherwise remove.
    if !rustix::process::geteuid().is_root() {
        make_writable(root)?;
    }
    fs::remove_dir_all(root)
}

/// Seals everything below `dir` (not `dir` itself) and returns its size in bytes.
fn seal_children(dir: &Path) -> Result<u64, PublishError> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        own(&path, &found)?;
        if found.is_symlink() {
            continue;
        }
        if found.is_dir() {
            bytes += seal_children(&path)?;
        } else if found.is_file() {
            bytes += found.len();
        } else {
            return Err(PublishError::Special(path.file_name().unwrap_or_default().display().to_string()));
        }
        let executable = found.is_dir() || found.mode() & 0o111 != 0;
        fs::set_permissions(&path, fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }))?;
    }
    Ok(bytes)
}

/// Installers run as another user than the node; what they made must not stay theirs.
fn own(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if (found.uid(), found.gid()) == (uid, gid) {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
}
