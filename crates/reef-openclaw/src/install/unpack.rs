//! Unpacking npm package files, which come from strangers: nothing may land outside the target, and nothing may be a link.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

/// The most entries in one package.
const ENTRIES_MAX: usize = 100_000;

/// The most bytes that one package may have unpacked.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// Why a package was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("it contains `{0}`, which lies outside of the package")]
    Outside(String),
    #[error("it contains `{0}`, which is neither a file nor a folder")]
    Kind(String),
    #[error("it is larger than {UNPACKED_BYTES_MAX} bytes or has more than {ENTRIES_MAX} files")]
    TooLarge,
    #[error("unpacking was cancelled")]
    Cancelled,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Unpacks `file` into `target`, without the first folder of each path. `wanted` gets the path below `target`.
///
/// Runs on the blocking pool; dropping the future stops it soon.
pub(super) async fn unpack(file: PathBuf, target: PathBuf, wanted: fn(&Path) -> bool) -> Result<(), UnpackError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(cancelled.clone());
    let done = tokio::task::spawn_blocking(move || unpack_blocking(&file, &target, wanted, &cancelled));
    done.await.unwrap_or(Err(UnpackError::Cancelled))
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn unpack_blocking(
    file: &Path,
    target: &Path,
    wanted: fn(&Path) -> bool,
    cancelled: &AtomicBool,
) -> Result<(), UnpackError> {
    // The bound holds for headers and padding too, so that a bomb of empty entries ends as well.
    let stream = GzDecoder::new(fs::File::open(file)?).take(UNPACKED_BYTES_MAX);
    let mut archive = Archive::new(stream);
    let mut bytes = 0_u64;
    for (count, entry) in archive.entries()?.enumerate() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(UnpackError::Cancelled);
        }
        let mut entry = entry?;
        bytes = bytes.saturating_add(entry.size());
        if count >= ENTRIES_MAX || bytes > UNPACKED_BYTES_MAX {
            return Err(UnpackError::TooLarge);
        }
        let path = entry.path()?.into_owned();
        let inside = inside(&path)?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                if wanted(&inside) && inside.file_name().is_some() {
                    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
                    write(&mut entry, &target.join(inside), executable)?;
                }
            }
            // Folders are made when a file in them is.
            EntryType::Directory | EntryType::XGlobalHeader => {}
            _ => return Err(UnpackError::Kind(path.display().to_string())),
        }
    }
    Ok(())
}

/// The path below the target: without the first folder, and made of plain names only.
fn inside(path: &Path) -> Result<PathBuf, UnpackError> {
    let outside = || UnpackError::Outside(path.display().to_string());
    let mut inside = PathBuf::new();
    let parts = path.components().filter(|part| *part != Component::CurDir);
    for (position, part) in parts.enumerate() {
        match part {
            Component::Normal(name) if position > 0 => inside.push(name),
            Component::Normal(_) => {}
            _ => return Err(outside()),
        }
    }
    Ok(inside)
}

fn write(from: &mut impl Read, path: &Path, executable: bool) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    io::copy(from, &mut file).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use flate2::{Compression, write::GzEncoder};
    use tar::Header;

    use super::*;

    fn header(kind: EntryType, path: &str, size: u64, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        // `set_path` refuses what a hostile archive would hold.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_cksum();
        header
    }

    fn archive(dir: &Path, entries: &[(EntryType, &str, u32)]) -> PathBuf {
        let file = dir.join("package.tgz");
        let mut builder = tar::Builder::new(GzEncoder::new(fs::File::create(&file).unwrap(), Compression::fast()));
        for (kind, path, mode) in entries {
            let content: &[u8] = if *kind == EntryType::Regular { b"text" } else { b"" };
            let mut header = header(*kind, path, content.len() as u64, *mode);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/etc/passwd").unwrap();
                header.set_cksum();
            }
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        file
    }

    #[tokio::test]
    async fn files_land_below_the_target() {
        let dir = tempfile::tempdir().unwrap();
        let file = archive(
            dir.path(),
            &[
                (EntryType::Directory, "package/bin/", 0o777),
                (EntryType::Regular, "package/bin/node", 0o4755),
                (EntryType::Regular, "./package/LICENSE", 0o600),
                (EntryType::Regular, "package/include/node.h", 0o644),
            ],
        );
        let target = dir.path().join("target");
        unpack(file, target.clone(), |path| !path.starts_with("include")).await.unwrap();
        let mode = |path: &str| fs::metadata(target.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("bin/node"), mode("LICENSE")), (0o755, 0o644));
        assert_eq!(fs::read(target.join("LICENSE")).unwrap(), b"text");
        assert!(!target.join("include").exists());
    }

    #[tokio::test]
    async fn hostile_archives_are_refused_and_touch_nothing_outside() {
        let regular = EntryType::Regular;
        for (kind, path) in [
            (regular, "../outside"),
            (regular, "package/../../outside"),
            (regular, "package/a/../../outside"),
            (regular, "/outside"),
            (EntryType::Directory, "package/../.."),
            (EntryType::Symlink, "package/link"),
            (EntryType::Link, "package/link"),
            (EntryType::Fifo, "package/pipe"),
            (EntryType::Char, "package/null"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = archive(dir.path(), &[(kind, path, 0o644)]);
            let err = unpack(file, dir.path().join("target"), |_| true).await.unwrap_err();
            assert!(matches!(err, UnpackError::Outside(_) | UnpackError::Kind(_)), "{path}: {err}");
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["package.tgz"], "{path}");
        }
    }

    #[tokio::test]
    async fn bombs_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bomb.tgz");
        let mut gzip = GzEncoder::new(fs::File::create(&file).unwrap(), Compression::fast());
        let claimed = header(EntryType::Regular, "package/big", UNPACKED_BYTES_MAX + 1, 0o644);
        io::Write::write_all(&mut gzip, claimed.as_bytes()).unwrap();
        gzip.finish().unwrap();
        let err = unpack(file, dir.path().join("target"), |_| true).await.unwrap_err();
        assert!(matches!(err, UnpackError::TooLarge), "{err}");
        assert!(!dir.path().join("target").exists());
    }
}
