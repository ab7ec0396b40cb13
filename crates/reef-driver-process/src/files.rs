//! Writing a workload's files into folders that an agent owns: whatever it has planted there, nothing outside of them is
//! touched, and nothing of it keeps the files from being written.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Component, Path},
};

use reef_driver::{DriverError, Reason, WorkloadFile};
use reef_types::JobId;
use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, openat2},
    io::Errno,
};

use crate::layout::{DATA, InstanceDir};

/// What a file is called until it is complete.
const TEMPORARY: &str = ".reef-new";
/// Between the old name and a random part, in the name of what was in the way.
const ASIDE: &str = ".reef-aside-";
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
    if owner.is_none() {
        // An agent of the same user may have closed it. The folder it is in is not the agent's, so this follows no link.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut dir = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    for part in relative.parent().into_iter().flat_map(Path::components) {
        dir = enter(&dir, part.as_os_str(), owner)?;
    }
    let name = relative.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    if !file.overwrite && exists(&dir, name)? {
        return Ok(());
    }
    remove(&dir, TEMPORARY.as_ref())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dir, TEMPORARY, flags, Mode::from_raw_mode(0o600))?;
    own(&fd, owner)?;
    let mut out = File::from(fd);
    out.write_all(file.content.as_bytes())?;
    out.sync_all()?;
    // Replaces a link instead of following it.
    let put = || rustix::fs::renameat(&dir, TEMPORARY, &dir, name);
    let done = match put() {
        Err(Errno::ISDIR) => set_aside(&dir, name).and_then(|()| Ok(put()?)),
        result => result.map_err(io::Error::from),
    };
    done.inspect_err(|_| {
        let _ = remove(&dir, TEMPORARY.as_ref());
    })
}

fn enter(dir: &OwnedFd, name: &OsStr, owner: Option<u32>) -> io::Result<OwnedFd> {
    match enter_as_it_is(dir, name, owner) {
        // A file, a link, or a folder that is closed to its own user.
        Err(Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {
            set_aside(dir, name)?;
            Ok(enter_as_it_is(dir, name, owner)?)
        }
        result => Ok(result?),
    }
}

fn enter_as_it_is(dir: &OwnedFd, name: &OsStr, owner: Option<u32>) -> rustix::io::Result<OwnedFd> {
    let made = match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(err) => return Err(err),
    };
    let fd = openat2(dir, name, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), RESOLVE)?;
    if made {
        own(&fd, owner)?;
    } else if owner.is_none() {
        // As above, for whoever may still read it but not write.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o700))?;
    }
    Ok(fd)
}

fn own(fd: impl AsFd, owner: Option<u32>) -> rustix::io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    rustix::fs::fchown(fd, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))
}

fn exists(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(err) => Err(err.into()),
    }
}

fn remove(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => set_aside(dir, name),
        Err(err) => Err(err.into()),
    }
}

/// Gives another name to what the agent put in the way; it may be of value to somebody. An empty folder just goes.
fn set_aside(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    if rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    // Not to be guessed, so that the new name cannot be taken in advance.
    let mut aside = name.to_owned();
    aside.push(format!("{ASIDE}{}", JobId::new()));
    Ok(rustix::fs::renameat(dir, name, dir, &aside)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
        write(&dir, &[file("/reef/state/dir/victim", true)]).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("state/dir/victim")).unwrap(), "new");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "old");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_that_is_planted_keeps_a_file_from_being_written() {
        type Plant = fn(&Path);
        let plants: [(&str, Plant); 6] = [
            ("folder", |path| fs::create_dir(path).unwrap()),
            ("folder with something in it", |path| fs::create_dir_all(path.join("a/b")).unwrap()),
            ("link", |path| symlink("/etc/passwd", path).unwrap()),
            ("link to nothing", |path| symlink("nothing", path).unwrap()),
            ("fifo", |path| rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap()),
            ("closed folder", |path| {
                fs::create_dir(path).unwrap();
                fs::write(path.join("kept"), "").unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
            }),
        ];
        for (what, plant) in plants {
            for place in ["state/reef/start.mjs", "state/reef/.reef-new", "state/reef"] {
                let (root, dir) = instance();
                let target = root.path().join("state/reef/start.mjs");
                let planted = root.path().join(place);
                fs::create_dir_all(planted.parent().unwrap()).unwrap();
                plant(&planted);
                for _ in 0..2 {
                    write(&dir, &[file("/reef/state/reef/start.mjs", true)])
                        .unwrap_or_else(|err| panic!("{what} at {place}: {err}"));
                    assert_eq!(fs::read_to_string(&target).unwrap(), "new", "{what} at {place}");
                    assert!(fs::symlink_metadata(&target).unwrap().is_file(), "{what} at {place}");
                }
            }
        }
    }

    #[test]
    fn what_was_in_the_way_of_a_file_is_kept_beside_it() {
        let (root, dir) = instance();
        fs::create_dir_all(root.path().join("state/file/inner")).unwrap();
        write(&dir, &[file("/reef/state/file", true)]).unwrap();
        let names = fs::read_dir(root.path().join("state")).unwrap().map(|entry| entry.unwrap().file_name());
        let aside: Vec<_> = names.filter(|name| name != "file").collect();
        let [aside] = aside.as_slice() else { panic!("{aside:?}") };
        assert!(aside.to_string_lossy().starts_with("file.reef-aside-"), "{aside:?}");
        assert!(root.path().join("state").join(aside).join("inner").is_dir());
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
