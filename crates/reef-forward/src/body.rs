//! The body that goes back to a person: an answer of the hub itself, or an instance's bytes as they come.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::peer::Lease;

/// Why a body ended before its end. The connection to the client is cut, so that it cannot take a part for the whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the instance sent nothing for too long")]
    Idle,
    #[error("the hub is restarting")]
    Draining,
    #[error("the instance broke off")]
    Upstream(#[source] hyper::Error),
}

/// Body of every response of the forwarder.
pub struct ForwardBody {
    kind: Kind,
}

enum Kind {
    Full(Option<Bytes>),
    Stream(Box<Stream>),
}

struct Stream {
    body: Incoming,
    /// Given back as soon as the body is complete; dropped before, it closes the connection to the instance.
    lease: Option<Lease>,
    idle: Option<IdleTimer>,
    /// Ends streams that would otherwise never end, when the hub restarts.
    ending: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl ForwardBody {
    /// A body that is there already.
    pub fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full((!bytes.is_empty()).then_some(bytes)) }
    }

    /// No body.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn stream(
        body: Incoming,
        lease: Lease,
        idle: Option<Duration>,
        ending: Option<WaitForCancellationFutureOwned>,
    ) -> Self {
        let mut stream =
            Stream { body, lease: Some(lease), idle: idle.map(IdleTimer::new), ending: ending.map(Box::pin) };
        stream.release_if_complete();
        Self { kind: Kind::Stream(Box::new(stream)) }
    }
}

impl fmt::Debug for ForwardBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForwardBody")
    }
}

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Stream(stream) => stream.body.size_hint(),
        }
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(idle) = &mut self.idle {
                idle.progress();
            }
            match &frame {
                Some(Ok(_)) => self.release_if_complete(),
                Some(Err(_)) => self.lease = None,
                None => self.release(),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Upstream)));
        }
        if let Some(ending) = &mut self.ending
            && ending.as_mut().poll(cx).is_ready()
        {
            return self.fail(BodyError::Draining);
        }
        let Some(idle) = &mut self.idle else { return Poll::Pending };
        ready!(idle.poll_expired(cx));
        self.fail(BodyError::Idle)
    }

    fn release_if_complete(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    fn fail(&mut self, err: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.lease = None;
        self.idle = None;
        self.ending = None;
        Poll::Ready(Some(Err(err)))
    }
}

/// Fires when something is waited for too long. Time during which nobody waits does not count: a client that reads
/// slowly is not the instance's fault.
pub(crate) struct IdleTimer {
    limit: Duration,
    /// Since when it has been waited for, while it is.
    since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl IdleTimer {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: None, sleep: Box::pin(tokio::time::sleep(limit)) }
    }

    /// What was waited for has come.
    pub(crate) fn progress(&mut self) {
        self.since = None;
    }

    /// Waits; ready when the limit has passed since the wait began.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since + self.limit;
        // The timer is moved only when it fires, not with every frame: that is the cheap way round.
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline);
        }
    }
}
