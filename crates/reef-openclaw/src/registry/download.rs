//! Fetching one package file into the cache: goes on after interruptions, and gives out only what has the right digest.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use reqwest::{StatusCode, header};
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use super::{Registry, RegistryError, Tarball, error::describe};

/// The largest package file that is fetched, in bytes.
const TARBALL_BYTES_MAX: u64 = 512 << 20;

/// How far a download is: bytes fetched, and bytes in all (0 when the registry does not say).
pub type OnBytes<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Why one try ended without the whole file.
enum Stop {
    /// Worth trying again.
    Retry(String),
    /// Not worth it.
    Fatal(RegistryError),
}

impl Registry {
    /// Fetches a package file into `cache`, unless it is there already, and returns where it is.
    ///
    /// What an interrupted call fetched is used by the next one. Not to be called twice at once for the same file.
    ///
    /// # Errors
    /// `Network` after several tries, `Integrity` when the file is not what the registry promised.
    pub async fn fetch(
        &self,
        tarball: &Tarball,
        cache: &Path,
        progress: OnBytes<'_>,
    ) -> Result<PathBuf, RegistryError> {
        let cannot_write = || RegistryError::io("the download cache cannot be written");
        fs::create_dir_all(cache).await.map_err(cannot_write())?;
        let done = cache.join(tarball.integrity.file_name());
        if fs::try_exists(&done).await.map_err(cannot_write())? {
            if matches(tarball, &done).await? {
                return Ok(done);
            }
            fs::remove_file(&done).await.map_err(cannot_write())?;
        }

        let partial = done.with_extension("partial");
        let resumed = size(&partial).await > 0;
        self.fetch_whole(tarball, &partial, progress).await?;
        if !matches(tarball, &partial).await? {
            fs::remove_file(&partial).await.map_err(cannot_write())?;
            // The old half and the new half may belong to different files; a whole one tells.
            let hopeless = !resumed || {
                self.fetch_whole(tarball, &partial, progress).await?;
                !matches(tarball, &partial).await?
            };
            if hopeless {
                // Gone already when it was whole from the start.
                let _ = fs::remove_file(&partial).await;
                return Err(RegistryError::integrity(&tarball.name, "its digest is another one"));
            }
        }
        fs::rename(&partial, &done).await.map_err(cannot_write())?;
        Ok(done)
    }

    async fn fetch_whole(&self, tarball: &Tarball, partial: &Path, progress: OnBytes<'_>) -> Result<(), RegistryError> {
        let mut failures = 0;
        loop {
            let before = size(partial).await;
            match self.fetch_some(tarball, partial, progress).await {
                Ok(()) => return Ok(()),
                Err(Stop::Fatal(err)) => return Err(err),
                Err(Stop::Retry(problem)) => {
                    // Only tries that brought nothing are counted: a slow line may be cut many times.
                    failures = if size(partial).await > before { 1 } else { failures + 1 };
                    if failures >= self.timing.attempts {
                        return Err(self.network(&tarball.name, problem));
                    }
                    tokio::time::sleep(self.timing.pause(failures)).await;
                }
            }
        }
    }

    /// One request: appends to `partial` until the file is whole or the connection ends.
    async fn fetch_some(&self, tarball: &Tarball, partial: &Path, progress: OnBytes<'_>) -> Result<(), Stop> {
        let io = |err| Stop::Fatal(RegistryError::io("the download cache cannot be written")(err));
        let offset = size(partial).await;
        let mut request = self.get(&tarball.url);
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
        }
        let response = request.send().await.map_err(|err| Stop::Retry(describe(err)))?;

        let goes_on = match response.status() {
            StatusCode::PARTIAL_CONTENT => starts_at(&response, offset),
            StatusCode::OK => false,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                fs::remove_file(partial).await.map_err(io)?;
                return Err(Stop::Retry("it has another length now".to_owned()));
            }
            status if is_transient(status) => return Err(Stop::Retry(format!("it answered {status}"))),
            status => return Err(Stop::Fatal(self.refusal(&tarball.name, status))),
        };
        if offset > 0 && !goes_on && response.status() == StatusCode::PARTIAL_CONTENT {
            fs::remove_file(partial).await.map_err(io)?;
            return Err(Stop::Retry("it sent another part than was asked for".to_owned()));
        }

        let mut have = if goes_on { offset } else { 0 };
        let total = response.content_length().map_or(0, |rest| have + rest);
        if total > TARBALL_BYTES_MAX {
            return Err(Stop::Fatal(RegistryError::integrity(&tarball.name, "it is far too large")));
        }
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(goes_on)
            .truncate(!goes_on)
            .open(partial)
            .await
            .map_err(io)?;
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(err) => {
                    file.flush().await.map_err(io)?;
                    return Err(Stop::Retry(describe(err)));
                }
            };
            have += chunk.len() as u64;
            if have > TARBALL_BYTES_MAX {
                return Err(Stop::Fatal(RegistryError::integrity(&tarball.name, "it is far too large")));
            }
            file.write_all(&chunk).await.map_err(io)?;
            progress(have, total.max(have));
        }
        file.sync_all().await.map_err(io)
    }
}

/// Whether it is worth asking again after this answer.
pub(super) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn starts_at(response: &reqwest::Response, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()) == Some(offset)
}

async fn size(path: &Path) -> u64 {
    fs::metadata(path).await.map_or(0, |meta| meta.len())
}

async fn matches(tarball: &Tarball, path: &Path) -> Result<bool, RegistryError> {
    let (integrity, path) = (tarball.integrity.clone(), path.to_owned());
    let hashed = tokio::task::spawn_blocking(move || integrity.matches(&path)).await;
    hashed.map_err(|_| RegistryError::integrity(&tarball.name, "it could not be checked"))?
}
