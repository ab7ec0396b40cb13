//! Files and folders that only their owner may read. Nothing here follows a wish of the outside: all names are ours.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::StoreError;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The bits of a mode that let others in.
pub(crate) const OTHERS: u32 = 0o077;

/// Makes sure that the folder exists and is closed to others.
pub(crate) fn private_dir(dir: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir);
    made.map_err(StoreError::io(dir))?;
    // A folder that a person made beforehand has the umask's mode; closing it is what they want.
    tighten(dir, DIR_MODE)
}

/// Makes sure that the file exists and is closed to others. SQLite gives its side files the same mode.
pub(crate) fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    let file = file.map_err(StoreError::io(path))?;
    tighten(path, FILE_MODE)?;
    Ok(file)
}

/// Makes a new file; fails when there is one.
pub(crate) fn private_file_new(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    file.map_err(StoreError::io(path))
}

/// Removes a file that may be there.
pub(crate) fn remove_leftover(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StoreError::io(path)),
    }
}

/// Gives a finished file its name, durably: after a power cut it is there whole or not at all.
pub(crate) fn publish(from: &Path, to: &Path, dir: &Path) -> Result<(), StoreError> {
    sync(from)?;
    fs::rename(from, to).map_err(StoreError::io(to))?;
    sync(dir)
}

/// As [`publish`], but never over a file that is there.
pub(crate) fn publish_new(from: &Path, to: &Path, dir: &Path) -> Result<(), StoreError> {
    sync(from)?;
    fs::hard_link(from, to).map_err(StoreError::io(to))?;
    fs::remove_file(from).map_err(StoreError::io(from))?;
    sync(dir)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io(path))
}

fn tighten(path: &Path, mode: u32) -> Result<(), StoreError> {
    let meta = fs::metadata(path).map_err(StoreError::io(path))?;
    if meta.mode() & OTHERS != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(StoreError::io(path))?;
    }
    Ok(())
}
