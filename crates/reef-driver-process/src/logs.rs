//! Reading an instance's log: the last lines across the files that were set aside, and then what is added.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::StreamExt;
use reef_driver::{DriverError, LogLine, LogQuery, LogStream, Reason};
use reef_sandbox::spec::LOG_FILE;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How often a growing file is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Lines read ahead of a slow reader.
const LINES_AHEAD_MAX: usize = 256;
/// The most lines of one tail.
const TAIL_LINES_MAX: usize = 100_000;
/// Bytes taken from the file at a time while following.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Lines of the log in the folder `dir`.
pub(crate) fn stream(dir: PathBuf, query: LogQuery) -> LogStream {
    let (lines, receiver) = mpsc::channel(LINES_AHEAD_MAX);
    tokio::spawn(async move {
        if let Err(err) = send(dir, query, &lines).await {
            let _ = lines.send(Err(DriverError::io("cannot read the log", &err))).await;
        }
    });
    ReceiverStream::new(receiver).boxed()
}

type Sender = mpsc::Sender<Result<LogLine, DriverError>>;

async fn send(dir: PathBuf, query: LogQuery, to: &Sender) -> io::Result<()> {
    let (tail, mut follower) = blocking(move || read_tail(&dir, query.tail.min(TAIL_LINES_MAX))).await?;
    for line in tail {
        if to.send(parse(&line)).await.is_err() {
            return Ok(());
        }
    }
    if !query.follow {
        return Ok(());
    }
    loop {
        let lines;
        (follower, lines) = blocking(move || follower.read().map(|lines| (follower, lines))).await?;
        if lines.is_empty() {
            tokio::select! {
                () = to.closed() => return Ok(()),
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        for line in lines {
            if to.send(parse(&line)).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn parse(line: &[u8]) -> Result<LogLine, DriverError> {
    serde_json::from_slice(line).map_err(|_| DriverError::new(Reason::Internal, "a line of the log is damaged"))
}

/// The last `count` lines, oldest first, and where to go on.
fn read_tail(dir: &Path, count: usize) -> io::Result<(VecDeque<Vec<u8>>, Follower)> {
    // Opened first: what is written from now on is read by following.
    let mut follower = Follower::open(dir)?;
    let mut lines = VecDeque::new();
    if let Some(file) = &follower.file {
        let (newest, length) = complete_lines(file.try_clone()?, count)?;
        lines = newest;
        follower.position = length;
    }
    for n in 1.. {
        let missing = count - lines.len();
        if missing == 0 {
            break;
        }
        let Some(file) = open(&dir.join(format!("{LOG_FILE}.{n}")))? else { break };
        let (mut older, _) = complete_lines(file, missing)?;
        older.extend(lines);
        lines = older;
    }
    Ok((lines, follower))
}

/// The last `count` lines that have an end, and the length of all of them.
fn complete_lines(file: File, count: usize) -> io::Result<(VecDeque<Vec<u8>>, u64)> {
    let mut lines = VecDeque::new();
    let mut length = 0;
    for line in BufReader::new(file).split_inclusive() {
        let line = line?;
        length += line.len() as u64;
        if lines.len() == count {
            lines.pop_front();
        }
        if count > 0 {
            lines.push_back(line);
        }
    }
    Ok((lines, length))
}

/// Reads what is added to the newest file, and goes on with the next one when that is set aside.
struct Follower {
    dir: PathBuf,
    file: Option<File>,
    /// Everything before it was delivered.
    position: u64,
}

impl Follower {
    fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: dir.to_path_buf(), file: open(&dir.join(LOG_FILE))?, position: 0 })
    }

    /// Complete lines that were added; none when there is nothing new.
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>> {
        // Asked before reading: lines written in between belong to the old file, and are read below.
        let set_aside = self.is_set_aside()?;
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.position))?;
            let mut lines = Vec::new();
            for line in BufReader::new(file.take(READ_BYTES_MAX)).split_inclusive() {
                let line = line?;
                self.position += line.len() as u64;
                lines.push(line);
            }
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
        if set_aside || self.file.is_none() {
            *self = Self::open(&self.dir)?;
        }
        Ok(Vec::new())
    }

    fn is_set_aside(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        Ok(match std::fs::metadata(self.dir.join(LOG_FILE)) {
            Ok(newest) => newest.ino() != file.metadata()?.ino(),
            Err(_) => false,
        })
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Lines with their end; a last one without an end is not there yet.
trait SplitInclusive: BufRead + Sized {
    fn split_inclusive(mut self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        std::iter::from_fn(move || {
            let mut line = Vec::new();
            match self.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => Some(Ok(line)),
                Ok(_) => None,
                Err(err) => Some(Err(err)),
            }
        })
    }
}

impl<R: BufRead> SplitInclusive for R {}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn line(n: usize) -> String {
        format!("{{\"at\":\"2026-01-01T00:00:00Z\",\"stream\":\"stdout\",\"text\":\"{n}\"}}\n")
    }

    fn lines(range: std::ops::Range<usize>) -> String {
        range.map(line).collect()
    }

    async fn texts(stream: LogStream, count: usize) -> Vec<String> {
        stream.take(count).map(|line| line.unwrap().text).collect().await
    }

    #[tokio::test]
    async fn the_tail_reaches_into_older_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOG_FILE), lines(4..6) + "{\"at\":").unwrap();
        fs::write(dir.path().join(format!("{LOG_FILE}.1")), lines(2..4)).unwrap();
        fs::write(dir.path().join(format!("{LOG_FILE}.2")), lines(0..2)).unwrap();
        for (tail, expect) in
            [(0, vec![]), (1, vec!["5"]), (3, vec!["3", "4", "5"]), (9, vec!["0", "1", "2", "3", "4", "5"])]
        {
            let got = texts(stream(dir.path().to_path_buf(), LogQuery { tail, follow: false }), 99).await;
            assert_eq!(got, expect, "{tail}");
        }
    }

    #[tokio::test]
    async fn following_goes_on_in_the_next_file() {
        let dir = tempfile::tempdir().unwrap();
        let newest = dir.path().join(LOG_FILE);
        fs::write(&newest, lines(0..2)).unwrap();
        let mut stream = stream(dir.path().to_path_buf(), LogQuery { tail: 1, follow: true });
        assert_eq!(stream.next().await.unwrap().unwrap().text, "1");
        let mut file = File::options().append(true).open(&newest).unwrap();
        file.write_all(line(2).as_bytes()).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().text, "2");
        file.write_all(line(3).as_bytes()).unwrap();
        fs::rename(&newest, dir.path().join(format!("{LOG_FILE}.1"))).unwrap();
        fs::write(&newest, line(4)).unwrap();
        assert_eq!(texts(stream, 2).await, ["3", "4"]);
    }

    #[tokio::test]
    async fn no_log_is_an_empty_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(texts(stream(dir.path().to_path_buf(), LogQuery { tail: 5, follow: false }), 9).await.is_empty());
    }
}
