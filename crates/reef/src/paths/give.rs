//! Giving a folder to another user, while that user may already write in it.

use std::{ffi::CStr, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};

/// Depth of what is looked at; the hub's own folders are flat.
const DEPTH_MAX: usize = 8;

/// Makes `uid` (and the group of that number) the owner of the folder and of what is in it. Follows no link, and leaves
/// alone what has another name elsewhere: it could be anybody's.
pub(super) fn folder(path: &Path, uid: u32) -> io::Result<()> {
    let dir = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
    contents(&dir, uid, DEPTH_MAX)?;
    // Last, so that nobody else is in it until then.
    Ok(rustix::fs::fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?)
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn contents(dir: &OwnedFd, uid: u32, depth: usize) -> io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(dir, name, uid, depth)?;
        }
    }
    Ok(())
}

fn one(parent: &OwnedFd, name: &CStr, uid: u32, depth: usize) -> io::Result<()> {
    // Held by its descriptor: what is looked at is what changes hands.
    let fd = match rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    let stat = rustix::fs::fstat(&fd)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind.is_dir() && depth > 0 {
        let dir = rustix::fs::openat(&fd, c".", FOLDER, Mode::empty())?;
        contents(&dir, uid, depth - 1)?;
    } else if kind.is_symlink() || stat.st_nlink != 1 {
        return Ok(());
    }
    if stat.st_uid == uid {
        return Ok(());
    }
    let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
    Ok(rustix::fs::chownat(&fd, c"", owner.0, owner.1, AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn links_lead_nowhere_and_the_rest_changes_hands() {
        let root = tempfile::tempdir().unwrap();
        let (dir, outside) = (root.path().join("hub"), root.path().join("outside"));
        fs::create_dir_all(dir.join("sub")).unwrap();
        for path in [&outside, &dir.join("file"), &dir.join("sub/file")] {
            fs::write(path, "").unwrap();
        }
        symlink(&outside, dir.join("link")).unwrap();
        fs::hard_link(&outside, dir.join("hard")).unwrap();
        let before = fs::metadata(&outside).unwrap().uid();
        // Who is not root can give things to themself only, which shows no more than that nothing breaks.
        let to = if before == 0 { 1_899_999_990 } else { before };
        folder(&dir, to).unwrap();
        folder(&dir, to).unwrap();
        for path in ["", "file", "sub", "sub/file"] {
            assert_eq!(fs::metadata(dir.join(path)).unwrap().uid(), to, "{path}");
        }
        assert_eq!(fs::metadata(&outside).unwrap().uid(), before);
    }
}
