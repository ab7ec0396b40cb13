//! Removing, and giving away, whole folders that somebody hostile may have filled: links are never followed, mounts never
//! entered, and no depth of nesting uses up stack or descriptors.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, openat2},
    io::Errno,
};

/// Folders open at once. What lies deeper is moved up before it is removed.
const DEPTH_MAX: usize = 64;
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Removes a folder with all that is in it, or a file; what is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let parent = match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(()),
        Err(err) => return Err(err.into()),
    };
    let name = std::ffi::CString::new(name.as_encoded_bytes())?;
    if unlink(parent.as_fd(), &name)? {
        return Ok(());
    }
    let top = open_folder(parent.as_fd(), &name)?;
    let mut moved = 0;
    empty(top.as_fd(), top.as_fd(), 1, &mut moved)?;
    // What was moved up may have been passed by the first time.
    while moved > 0 {
        moved = 0;
        empty(top.as_fd(), top.as_fd(), 1, &mut moved)?;
    }
    Ok(rustix::fs::unlinkat(&parent, &*name, AtFlags::REMOVEDIR)?)
}

fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, depth: usize, moved: &mut u64) -> io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_dot(name) || unlink(dir, name)? {
            continue;
        }
        if depth == DEPTH_MAX {
            make_accessible(dir, name)?;
            move_aside(dir, name, top, moved)?;
            continue;
        }
        let folder = open_folder(dir, name)?;
        empty(folder.as_fd(), top, depth + 1, moved)?;
        drop(folder);
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Moves a folder up, to a name that is free: any name may have been taken in advance.
fn move_aside(dir: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match rustix::fs::renameat(dir, name, top, format!(".reef-removed-{moved}")) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return Ok(other?),
        }
    }
}

/// Removes what is not a folder; false when it is one.
fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(err) => Err(err.into()),
    }
}

/// Opens a folder to be emptied, even when its owner has shut itself out of it.
fn open_folder(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    make_accessible(dir, name)?;
    Ok(openat2(dir, name, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), RESOLVE)?)
}

fn make_accessible(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let fd = openat2(dir, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), RESOLVE)?;
    let mode = rustix::fs::fstat(&fd)?.st_mode;
    if mode & 0o700 != 0o700 {
        // `fchmod` does not take a descriptor like this one; its path in /proc leads to the same inode and no other.
        rustix::fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), Mode::from_raw_mode(0o700))?;
    }
    Ok(())
}

/// Gives a folder and all that is in it to `owner`.
///
/// # Errors
/// When it is nested deeper than any sane installation.
pub(crate) fn give(path: &Path, owner: u32) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
    rustix::fs::fchown(&dir, Some(uid), Some(gid))?;
    give_content(dir.as_fd(), uid, gid, 1)
}

fn give_content(dir: BorrowedFd<'_>, uid: Uid, gid: Gid, depth: usize) -> io::Result<()> {
    if depth == DEPTH_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the folders are nested too deeply"));
    }
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_dot(name) {
            continue;
        }
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_uid != uid.as_raw() || stat.st_gid != gid.as_raw() {
            rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
            let folder = openat2(dir, name, flags, Mode::empty(), RESOLVE)?;
            give_content(folder.as_fd(), uid, gid, depth + 1)?;
        }
    }
    Ok(())
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        let victim = root.path().join("victim");
        fs::create_dir_all(victim.join("a/b")).unwrap();
        std::os::unix::fs::symlink(&outside, victim.join("a/link")).unwrap();
        fs::set_permissions(victim.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        remove(&victim).unwrap();
        assert!(!victim.exists());
        assert!(outside.join("kept").exists());
        remove(&victim).unwrap();
    }

    #[test]
    fn depth_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("victim");
        fs::create_dir(&victim).unwrap();
        // Deeper than a path can be long and than a process may have files open.
        let mut dir = rustix::fs::open(&victim, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&dir, "d", Mode::from_raw_mode(0o700)).unwrap();
            dir = rustix::fs::openat(&dir, "d", OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
        }
        // What is moved up must not be stopped by names that were taken on purpose.
        for n in 1..100 {
            fs::create_dir_all(victim.join(format!(".reef-removed-{n}/full"))).unwrap();
        }
        fs::write(victim.join(".reef-removed-100"), "").unwrap();
        remove(&victim).unwrap();
        assert!(!victim.exists());
    }
}
