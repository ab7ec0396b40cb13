//! The three messages in which the hub's authentication is put in: challenge, connect, answer. Strictly one after the
//! other; what a side sends early waits in its socket, so nothing is queued here.

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use reef_driver::{BoxIo, Handshake, HandshakeError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    code,
    frame::{self, Boundary, CloseFrame, From, Opcode},
};

/// Longest message before the client is authenticated, in bytes: what the gateway itself allows.
const UNAUTHENTICATED_BYTES_MAX: usize = 64 << 10;
/// Longest answer of the gateway, in bytes: its own limit for a frame.
const ANSWER_BYTES_MAX: usize = 25 << 20;
/// Room asked for by one read, in bytes.
const READ_BYTES: usize = 16 << 10;

/// Both sides of a connection whose handshake is not done.
pub(super) struct Sides {
    client: TokioIo<Upgraded>,
    client_read: BytesMut,
    upstream: BoxIo,
    upstream_read: BytesMut,
    waiting_for: From,
    boundary: Boundary,
}

impl Sides {
    pub(super) fn new(client: TokioIo<Upgraded>, upstream: BoxIo, upstream_read: Bytes) -> Self {
        Self {
            client,
            client_read: BytesMut::new(),
            upstream,
            upstream_read: BytesMut::from(upstream_read),
            waiting_for: From::Upstream,
            boundary: Boundary::default(),
        }
    }

    /// Runs the handshake; fails with what the client is to be told.
    pub(super) async fn handshake(&mut self, rewrite: &mut dyn Handshake) -> Result<(), CloseFrame> {
        let challenge = self.read_upstream(UNAUTHENTICATED_BYTES_MAX).await?;
        self.tell_client(&rewrite.on_challenge(&challenge).map_err(refused)?).await?;

        let connect = self.read_client().await?;
        // From here on the hub's credential is in play. A failure ends both sides: the client's own message is never
        // passed on in its place.
        let connect = rewrite.on_connect(&connect).map_err(refused)?;
        let frame = frame::encode(Opcode::Text, connect.as_bytes(), Some(mask()?));
        write(&mut self.upstream, &frame).await.map_err(|()| upstream_gone())?;

        let answer = self.read_upstream(ANSWER_BYTES_MAX).await?;
        self.tell_client(&rewrite.on_answer(&answer).map_err(refused)?).await?;

        // What was read beyond the handshake goes ahead of everything else.
        write(&mut self.upstream, &self.client_read).await.map_err(|()| upstream_gone())?;
        write(&mut self.client, &self.upstream_read).await.map_err(|()| client_gone())?;
        self.boundary.advance(&self.upstream_read);
        Ok(())
    }

    /// What to say when the time limit has passed.
    pub(super) fn late(&self) -> CloseFrame {
        match self.waiting_for {
            From::Client => CloseFrame::new(code::POLICY, "no connect request came in time"),
            From::Upstream => CloseFrame::new(code::UNAVAILABLE, "the instance did not answer in time"),
        }
    }

    /// Both streams, and where the one to the client stands.
    pub(super) fn into_parts(self) -> (TokioIo<Upgraded>, BoxIo, Boundary) {
        (self.client, self.upstream, self.boundary)
    }

    async fn read_upstream(&mut self, bytes_max: usize) -> Result<String, CloseFrame> {
        self.waiting_for = From::Upstream;
        match read_text(&mut self.upstream, &mut self.upstream_read, From::Upstream, bytes_max).await? {
            Read::Text(text) => Ok(text),
            // The gateway's own close codes pass through.
            Read::Closed(frame) => Err(frame),
            Read::Gone => Err(upstream_gone()),
        }
    }

    async fn read_client(&mut self) -> Result<String, CloseFrame> {
        self.waiting_for = From::Client;
        match read_text(&mut self.client, &mut self.client_read, From::Client, UNAUTHENTICATED_BYTES_MAX).await? {
            Read::Text(text) => Ok(text),
            // The client's own code is echoed to it (RFC 6455 section 5.5.1).
            Read::Closed(frame) => Err(frame),
            Read::Gone => Err(client_gone()),
        }
    }

    async fn tell_client(&mut self, text: &str) -> Result<(), CloseFrame> {
        let frame = frame::encode(Opcode::Text, text.as_bytes(), None);
        write(&mut self.client, &frame).await.map_err(|()| client_gone())
    }
}

enum Read {
    Text(String),
    Closed(CloseFrame),
    Gone,
}

/// Reads one text message, in however many fragments; answers pings meanwhile.
async fn read_text<S>(io: &mut S, buf: &mut BytesMut, from: From, bytes_max: usize) -> Result<Read, CloseFrame>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut message = Vec::new();
    let mut started = false;
    loop {
        let Some(frame) = frame::decode(buf, from, bytes_max - message.len())? else {
            buf.reserve(READ_BYTES);
            match io.read_buf(buf).await {
                Ok(0) | Err(_) => return Ok(Read::Gone),
                Ok(_) => continue,
            }
        };
        match frame.opcode {
            Opcode::Ping => {
                // A pong to the instance is a client's frame, so it is masked.
                let mask = if from == From::Upstream { Some(mask()?) } else { None };
                if write(io, &frame::encode(Opcode::Pong, &frame.payload, mask)).await.is_err() {
                    return Ok(Read::Gone);
                }
            }
            Opcode::Pong => {}
            Opcode::Close => return Ok(Read::Closed(CloseFrame::decode(frame.payload))),
            Opcode::Binary => return Err(CloseFrame::new(code::UNSUPPORTED, "the handshake is made of text messages")),
            Opcode::Text | Opcode::Continuation => {
                if started != (frame.opcode == Opcode::Continuation) {
                    return Err(CloseFrame::new(code::PROTOCOL, "fragments are out of order"));
                }
                started = true;
                message.extend_from_slice(&frame.payload);
                if frame.fin {
                    return String::from_utf8(message)
                        .map(Read::Text)
                        .map_err(|_| CloseFrame::new(code::NOT_TEXT, "a message is not UTF-8"));
                }
            }
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(io: &mut S, bytes: &[u8]) -> Result<(), ()> {
    if bytes.is_empty() {
        return Ok(());
    }
    io.write_all(bytes).await.map_err(drop)?;
    io.flush().await.map_err(drop)
}

/// A fresh mask from the system's random source (RFC 6455 section 5.3).
fn mask() -> Result<[u8; 4], CloseFrame> {
    let mut mask = [0; 4];
    getrandom::fill(&mut mask).map_err(|_| CloseFrame::new(code::UNAVAILABLE, "the hub has no random numbers"))?;
    Ok(mask)
}

fn refused(err: HandshakeError) -> CloseFrame {
    CloseFrame::new(err.close_code, err.message)
}

fn upstream_gone() -> CloseFrame {
    CloseFrame::new(code::UNAVAILABLE, "the instance closed the connection")
}

fn client_gone() -> CloseFrame {
    CloseFrame::new(code::POLICY, "the client closed the connection")
}
