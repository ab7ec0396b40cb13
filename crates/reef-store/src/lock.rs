//! One hub for one data directory: a lock of the kernel on `hub.lock`, which a killed process cannot leave behind.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use crate::{StoreError, files};

const LOCK_FILE: &str = "hub.lock";
/// More than any process number is long, in bytes.
const PID_BYTES_MAX: u64 = 20;

/// Holds the lock until dropped. The file stays: removing it would let two holders in.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock or tells who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE);
        let mut file = files::private_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { pid: holder(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(StoreError::io(&path)(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StoreError::io(&path))?;
        Ok(Self { _file: file })
    }
}

/// The number that the holder wrote; 0 when it has not come to that yet.
fn holder(file: &mut File) -> u32 {
    let mut text = String::new();
    let read = file.take(PID_BYTES_MAX).read_to_string(&mut text);
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0)
}
