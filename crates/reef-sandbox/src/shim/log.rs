//! The log of a program: what it wrote, line by line, as NDJSON, in files that do not grow without end.

use std::{
    fs::{self, File},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::spec::LOG_FILE;

/// A file is set aside when it has reached this size, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Files kept, the newest included.
const FILES_MAX: usize = 3;
/// Longer lines are split, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 16 << 10;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    Stdout,
    Stderr,
    /// The sandbox itself.
    Reef,
}

#[derive(Serialize)]
struct Line<'a> {
    at: jiff::Timestamp,
    stream: Stream,
    text: &'a str,
}

/// The log files of one instance.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    file: File,
    size: u64,
    file_bytes_max: u64,
}

impl Log {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Self::with_limit(dir, FILE_BYTES_MAX)
    }

    fn with_limit(dir: &Path, file_bytes_max: u64) -> io::Result<Self> {
        let file = append(&dir.join(LOG_FILE))?;
        let size = file.metadata()?.len();
        Ok(Self { dir: dir.to_path_buf(), file, size, file_bytes_max })
    }

    /// Writes one line. A full disk loses lines and stops nothing.
    pub(super) fn line(&mut self, stream: Stream, text: &str) {
        let Ok(mut line) = serde_json::to_vec(&Line { at: jiff::Timestamp::now(), stream, text }) else { return };
        line.push(b'\n');
        if self.size + line.len() as u64 > self.file_bytes_max && self.size > 0 {
            let _ = self.rotate();
        }
        // One write per line, so that a reader never sees two halves of different lines.
        if self.file.write_all(&line).is_ok() {
            self.size += line.len() as u64;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let name = |n: usize| self.dir.join(if n == 0 { LOG_FILE.to_owned() } else { format!("{LOG_FILE}.{n}") });
        for n in (0..FILES_MAX - 1).rev() {
            match fs::rename(name(n), name(n + 1)) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
                _ => {}
            }
        }
        self.file = append(&name(0))?;
        self.size = 0;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// Cuts what comes from a pipe into lines.
#[derive(Debug)]
pub(super) struct Lines {
    stream: Stream,
    partial: Vec<u8>,
}

impl Lines {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, partial: Vec::new() }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], log: &mut Log) {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.partial.len();
            let window = &bytes[..bytes.len().min(room)];
            let (taken, complete) = match window.iter().position(|b| *b == b'\n') {
                Some(end) => {
                    self.partial.extend_from_slice(&window[..end]);
                    (end + 1, true)
                }
                None => {
                    self.partial.extend_from_slice(window);
                    (window.len(), self.partial.len() == LINE_BYTES_MAX)
                }
            };
            bytes = &bytes[taken..];
            if complete {
                self.flush(log);
            }
        }
    }

    /// The rest, when nothing more will come.
    pub(super) fn finish(&mut self, log: &mut Log) {
        if !self.partial.is_empty() {
            self.flush(log);
        }
    }

    fn flush(&mut self, log: &mut Log) {
        let line = mem::take(&mut self.partial);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        log.line(self.stream, &String::from_utf8_lossy(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dir: &Path) -> Vec<String> {
        let text = fs::read_to_string(dir.join(LOG_FILE)).unwrap();
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|line| parse(line)["text"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn bytes_become_lines() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b"one\ntwo\n"], &["one", "two"]),
            (&[b"o", b"ne\r", b"\n\nthree"], &["one", "", "three"]),
            (&[b"\xff\x00a\n"], &["\u{fffd}\0a"]),
            (&[long.as_bytes(), b"y\n"], &[&long, "y"]),
        ];
        for (chunks, expect) in cases {
            let dir = tempfile::tempdir().unwrap();
            let mut log = Log::open(dir.path()).unwrap();
            let mut lines = Lines::new(Stream::Stdout);
            for chunk in *chunks {
                lines.feed(chunk, &mut log);
            }
            lines.finish(&mut log);
            assert_eq!(texts(dir.path()), *expect);
        }
    }

    #[test]
    fn old_files_are_set_aside_and_then_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::with_limit(dir.path(), 1000).unwrap();
        for n in 0..100 {
            log.line(Stream::Reef, &n.to_string());
        }
        assert_eq!(texts(dir.path()).last().unwrap(), "99");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), FILES_MAX);
        for entry in fs::read_dir(dir.path()).unwrap() {
            assert!(entry.unwrap().metadata().unwrap().len() <= 1000);
        }
    }
}
