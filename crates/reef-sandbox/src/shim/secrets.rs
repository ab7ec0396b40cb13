//! Secret files: in the sandbox's own memory file system, which no disk and nobody else on the host sees.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{AtFlags, Dir, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use crate::spec::Secret;

/// Longest name of a secret, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// What a file is called until it is complete; no name that a secret can have.
const TEMPORARY: &str = ".new";

/// The folder, held open from outside.
#[derive(Debug)]
pub(super) struct Secrets {
    folder: OwnedFd,
    /// uid and gid of the files, as seen by the shim; none when they are the shim's own.
    owner: Option<u32>,
}

impl Secrets {
    pub(super) fn new(folder: OwnedFd, owner: Option<u32>) -> Self {
        Self { folder, owner }
    }

    /// Replaces all files by these. A reader of a name that is in both lists sees the old file or the new one.
    ///
    /// # Errors
    /// `InvalidInput` when a name is not a plain file name; nothing has changed then.
    pub(super) fn replace(&self, secrets: &[Secret]) -> io::Result<()> {
        if !secrets.iter().all(|secret| is_plain_name(&secret.name)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a secret's name is not a plain file name"));
        }
        for secret in secrets {
            self.write(secret)?;
        }
        self.remove_all_but(secrets)
    }

    fn write(&self, secret: &Secret) -> io::Result<()> {
        self.remove(TEMPORARY)?;
        // EXCL and NOFOLLOW: what the agent may have put there in between is never written through.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.folder, TEMPORARY, flags, Mode::from_raw_mode(0o400))?;
        if let Some(owner) = self.owner {
            rustix::fs::fchown(&fd, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
        }
        File::from(fd).write_all(secret.value.as_bytes())?;
        match rustix::fs::renameat(&self.folder, TEMPORARY, &self.folder, &secret.name) {
            Ok(()) => Ok(()),
            Err(err) => {
                let _ = self.remove(TEMPORARY);
                Err(err.into())
            }
        }
    }

    fn remove_all_but(&self, kept: &[Secret]) -> io::Result<()> {
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let keep = |secret: &Secret| secret.name.as_bytes() == name.to_bytes();
            if !matches!(name.to_bytes(), b"." | b"..") && !kept.iter().any(keep) {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: impl rustix::path::Arg) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            // The agent owns the folder: a folder that it puts there is its own affair.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

fn is_plain_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn names() {
        for good in ["token", "a.b_c-1", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(is_plain_name(good), "{good}");
        }
        for bad in ["", ".", "..", ".x", "a/b", "a\0b", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(!is_plain_name(bad), "{bad}");
        }
    }

    #[test]
    fn replacing_is_complete_and_never_follows_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "untouched").unwrap();
        let folder = dir.path().join("secrets");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("token")).unwrap();
        let secrets = Secrets::new(File::open(&folder).unwrap().into(), None);
        let secret = |name: &str| Secret { name: name.to_owned(), value: "v".to_owned() };

        secrets.replace(&[secret("old"), secret("token")]).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
        assert_eq!(fs::metadata(folder.join("token")).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(secrets.replace(&[secret("../x")]).is_err());
        assert!(folder.join("old").exists(), "a refused list changes nothing");
        secrets.replace(&[]).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
