//! The body of a request on its way to an instance: counted, and watched so that time limits start when it has ended.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::time::Instant;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body of any kind.
pub(crate) type UploadBody = UnsyncBoxBody<Bytes, BoxError>;

/// What the forwarder can see of a body while another task sends it.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    last_ms: AtomicU64,
    too_large: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), last_ms: AtomicU64::new(0), too_large: AtomicBool::new(false) })
    }

    pub(crate) fn too_large(&self) -> bool {
        self.too_large.load(Ordering::Acquire)
    }

    /// Returns once nothing has moved for `limit`.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Acquire));
            let deadline = self.started + last + limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn moved(&self) {
        self.last_ms.store(self.started.elapsed().as_millis() as u64, Ordering::Release);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the request body is too large")]
struct TooLarge;

/// Wraps a request body; more than `bytes_max` bytes end it with an error.
pub(crate) fn watch<B>(body: B, bytes_max: u64, progress: Arc<Progress>) -> UploadBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Watched { body: Box::pin(body), left: bytes_max, progress }.boxed_unsync()
}

/// No body at all.
pub(crate) fn empty() -> UploadBody {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

struct Watched<B> {
    body: Pin<Box<B>>,
    left: u64,
    progress: Arc<Progress>,
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        self.progress.moved();
        let bytes =
            frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
        let Some(left) = self.left.checked_sub(bytes) else {
            self.progress.too_large.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(Box::new(TooLarge))));
        };
        self.left = left;
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
