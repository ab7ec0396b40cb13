//! One node per data directory: an advisory lock that the kernel drops with the process, however it ends.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::NodeError;

const LOCK_FILE: &str = "node.lock";

/// Holds the data directory for as long as it lives.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// # Errors
    /// `Locked`, with the pid of the holder, when another process has it.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self, NodeError> {
        let path = data_dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|err| NodeError::io("cannot open", &path, err))?;
        if let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(NodeError::io("cannot lock", &path, errno.into()));
            }
            let mut pid = String::new();
            // The holder may be between locking and writing; the message is then less precise, the refusal is not.
            let pid = match file.read_to_string(&mut pid) {
                Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
                _ => "unknown".to_owned(),
            };
            return Err(NodeError::Locked { data_dir: data_dir.to_owned(), pid });
        }
        // The file is never removed: a waiter could otherwise lock a name that is gone while a third makes a new one.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|err| NodeError::io("cannot write", &path, err))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_with_the_pid_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDirLock::acquire(dir.path()).unwrap();
        let refusal = DataDirLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(refusal.contains(&format!("pid {}", std::process::id())), "{refusal}");
        drop(first);
        DataDirLock::acquire(dir.path()).unwrap();
    }
}
