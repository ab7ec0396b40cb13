//! Writing a workload's files into folders that an agent owns: whatever it has planted there, nothing outside of them is
//! touched.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path},
};

use reef_driver::{DriverError, Reason, WorkloadFile};
use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, openat2},
    io::Errno,
};

use crate::layout::{DATA, InstanceDir};

/// What a file is called until it is complete.
const TEMPORARY: &str = ".reef-new";
/// Names are resolved below the folder that was opened, through no link, and on the same file system.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Puts all files in place, each as a whole, owned by the instance, mode 0600.
pub(crate) fn write(dir: &InstanceDir, files: &[WorkloadFile]) -> Result<(), DriverError> {
    for file in files {
        let (folder, relative) = locate(&file.path)?;
        write_one(&dir.path.join(folder), relative, file, dir.host_uid)
            .map_err(|err| DriverError::io(&format!("cannot write {}", file.path), &err))?;
    }
    Ok(())
}

/// Which folder of the instance a path inside the sandbox belongs to.
fn locate(path: &str) -> Result<(&'static str, &Path), DriverError> {
    DATA.iter()
        .find_map(|(folder, inside)| Some((*folder, Path::new(path).strip_prefix(inside).ok()?)))
        .filter(|(_, relative)| {
            let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
            plain && !relative.as_os_str().is_empty()
        })
        .ok_or_else(|| {
            DriverError::new(Reason::Invalid, format!("{path} is not a plain path below the instance's folders"))
        })
}

fn write_one(folder: &Path, relative: &Path, file: &WorkloadFile, owner: Option<u32>) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut dir = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    for part in relative.parent().into_iter().flat_map(Path::components) {
        dir = enter(&dir, part.as_os_str(), owner)?;
    }
    let name = relative.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    if !file.overwrite && exists(&dir, name)? {
        return Ok(());
    }
    remove(&dir, TEMPORARY)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dir, TEMPORARY, flags, Mode::from_raw_mode(0o600))?;
    own(&fd, owner)?;
    let mut out = File::from(fd);
    out.write_all(file.content.as_bytes())?;
    out.sync_all()?;
    // Replaces a link instead of following it.
    rustix::fs::renameat(&dir, TEMPORARY, &dir, name).inspect_err(|_| {
        let _ = remove(&dir, TEMPORARY);
    })?;
    Ok(())
}

fn enter(dir: &OwnedFd, name: &std::ffi::OsStr, owner: Option<u32>) -> io::Result<OwnedFd> {
    let made = match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(err) => return Err(err.into()),
    };
    let fd = openat2(dir, name, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), RESOLVE)?;
    if made {
        own(&fd, owner)?;
    }
    Ok(fd)
}

fn own(fd: impl AsFd, owner: Option<u32>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    Ok(rustix::fs::fchown(fd, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?)
}

fn exists(dir: &OwnedFd, name: &std::ffi::OsStr) -> io::Result<bool> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(err) => Err(err.into()),
    }
}

fn remove(dir: &OwnedFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn instance() -> (tempfile::TempDir, InstanceDir) {
        let root = tempfile::tempdir().unwrap();
        for (name, _) in DATA {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let dir = InstanceDir { path: root.path().to_path_buf(), host_uid: None };
        (root, dir)
    }

    fn file(path: &str, overwrite: bool) -> WorkloadFile {
        WorkloadFile { path: path.to_owned(), content: "new".to_owned(), overwrite }
    }

    #[test]
    fn files_land_in_their_folders() {
        let (root, dir) = instance();
        write(&dir, &[file("/reef/state/a/b/c.json", true), file("/home/agent/.x", false)]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("state/a/b/c.json")).unwrap(), "new");
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("home/.x"), mode("state/a")), (0o600, 0o700));
        assert_eq!(fs::read_dir(root.path().join("state/a/b")).unwrap().count(), 1, "nothing temporary is left");
    }

    #[test]
    fn paths_outside_are_refused() {
        let (_root, dir) = instance();
        for path in
            ["/etc/passwd", "/reef/state", "/reef/state/../x", "/reef/stateful/x", "reef/state/x", "/reef/state/"]
        {
            let err = write(&dir, &[file(path, true)]).unwrap_err();
            assert_eq!(err.reason, Reason::Invalid, "{path}");
        }
    }

    #[test]
    fn planted_links_lead_nowhere() {
        let (root, dir) = instance();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "old").unwrap();
        symlink(&victim, root.path().join("state/file")).unwrap();
        symlink(&victim, root.path().join("state/.reef-new")).unwrap();
        symlink(outside.path(), root.path().join("state/dir")).unwrap();

        write(&dir, &[file("/reef/state/file", true)]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("state/file")).unwrap(), "new");
        write(&dir, &[file("/reef/state/dir/victim", true)]).unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "old");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let (root, dir) = instance();
        let path = root.path().join("workspace/notes");
        fs::write(&path, "old").unwrap();
        write(&dir, &[file("/reef/workspace/notes", false)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&dir, &[file("/reef/workspace/notes", true)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
