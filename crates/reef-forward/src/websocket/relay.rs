//! Bytes both ways after the handshake, with back-pressure and large buffers; frames are followed only by their lengths.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    code,
    frame::{Boundary, CloseFrame},
};
use crate::body::IdleTimer;

/// Towards the client, where large frames come from; small buffers cost several times the throughput.
const DOWN_BUFFER_BYTES: usize = 64 << 10;
/// Towards the instance: requests of people.
const UP_BUFFER_BYTES: usize = 16 << 10;
/// How long one side may go on after the other has ended.
const HALF_CLOSED: Duration = Duration::from_secs(10);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides ended by themselves, or one of them broke off.
    Left,
    /// The hub ends it and wants to tell the client why.
    Closed(CloseFrame),
}

/// Copies until a side ends.
pub(super) struct Relay<'a, C, U> {
    client: &'a mut C,
    upstream: &'a mut U,
    down: Pipe,
    up: Pipe,
    boundary: Boundary,
    half_closed: Option<IdleTimer>,
}

impl<'a, C, U> Relay<'a, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// A relay that goes on where the handshake left off.
    pub(super) fn new(client: &'a mut C, upstream: &'a mut U, boundary: Boundary, stall: Duration) -> Self {
        Self {
            client,
            upstream,
            down: Pipe::new(DOWN_BUFFER_BYTES, stall),
            up: Pipe::new(UP_BUFFER_BYTES, stall),
            boundary,
            half_closed: None,
        }
    }

    /// Whether a frame of the hub's own may be written to the client now.
    pub(super) fn client_at_boundary(&self) -> bool {
        self.boundary.is_between_frames() && !self.boundary.saw_close()
    }

    /// Runs until both sides have ended, one broke off, or a receiver takes nothing for too long.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Self { client, upstream, down, up, boundary, half_closed } = self;
        let down_done = match down.poll(cx, upstream, client, |bytes| boundary.advance(bytes)) {
            // An instance that ends without a closing frame has crashed or been stopped: the client may try again.
            Poll::Ready(Ok(())) if !boundary.saw_close() => return Poll::Ready(instance_left(boundary)),
            Poll::Ready(Ok(())) => down.poll_shut(cx, client).is_ready(),
            Poll::Ready(Err(Broken::Reader)) => return Poll::Ready(instance_left(boundary)),
            Poll::Ready(Err(Broken::Writer)) => return Poll::Ready(End::Left),
            Poll::Ready(Err(Broken::Stalled)) => {
                return Poll::Ready(End::Closed(CloseFrame::new(code::UNAVAILABLE, "the client reads too slowly")));
            }
            Poll::Pending => false,
        };
        let up_done = match up.poll(cx, client, upstream, |_| {}) {
            Poll::Ready(Ok(())) => up.poll_shut(cx, upstream).is_ready(),
            Poll::Ready(Err(Broken::Reader)) => return Poll::Ready(End::Left),
            Poll::Ready(Err(Broken::Writer | Broken::Stalled)) => return Poll::Ready(instance_left(boundary)),
            Poll::Pending => false,
        };
        match (down_done, up_done) {
            (true, true) => Poll::Ready(End::Left),
            (false, false) => Poll::Pending,
            _ => {
                ready!(half_closed.get_or_insert_with(|| IdleTimer::new(HALF_CLOSED)).poll_expired(cx));
                Poll::Ready(End::Left)
            }
        }
    }
}

fn instance_left(boundary: &Boundary) -> End {
    if boundary.saw_close() {
        return End::Left;
    }
    End::Closed(CloseFrame::new(code::UNAVAILABLE, "the instance closed the connection"))
}

enum Broken {
    Reader,
    Writer,
    Stalled,
}

/// One direction.
struct Pipe {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    unflushed: bool,
    state: State,
    stall: IdleTimer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reader has ended; the writer has not been told.
    Ended,
    Shut,
}

impl Pipe {
    fn new(bytes: usize, stall: Duration) -> Self {
        let buf = vec![0; bytes].into_boxed_slice();
        Self { buf, start: 0, end: 0, unflushed: false, state: State::Open, stall: IdleTimer::new(stall) }
    }

    /// Moves what can be moved; ready once the reader has ended and the writer has all of it.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        mut passed: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while self.start < self.end {
                match Pin::new(&mut *writer).poll_write(cx, &self.buf[self.start..self.end]) {
                    Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Writer)),
                    Poll::Ready(Ok(n)) => {
                        passed(&self.buf[self.start..self.start + n]);
                        self.start += n;
                        self.unflushed = true;
                        self.stall.progress();
                    }
                    Poll::Pending => {
                        ready!(self.stall.poll_expired(cx));
                        return Poll::Ready(Err(Broken::Stalled));
                    }
                }
            }
            match self.state {
                State::Ended | State::Shut => return Poll::Ready(Ok(())),
                State::Open => match self.poll_fill(cx, reader) {
                    Poll::Ready(Ok(0)) => self.state = State::Ended,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Reader)),
                    Poll::Pending => {
                        // Nothing more to read for now, so what was written should not wait either.
                        if self.unflushed {
                            ready!(Pin::new(&mut *writer).poll_flush(cx)).map_err(|_| Broken::Writer)?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    /// Passes on that the reader has ended.
    fn poll_shut<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, writer: &mut W) -> Poll<()> {
        if self.state == State::Ended {
            // A writer that is gone needs no farewell.
            let _ = ready!(Pin::new(writer).poll_shutdown(cx));
            self.state = State::Shut;
        }
        Poll::Ready(())
    }

    fn poll_fill<R: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, reader: &mut R) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(&mut self.buf);
        ready!(Pin::new(reader).poll_read(cx, &mut buf))?;
        (self.start, self.end) = (0, buf.filled().len());
        Poll::Ready(Ok(self.end))
    }
}
