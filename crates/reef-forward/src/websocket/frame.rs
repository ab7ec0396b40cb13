//! The few frames that the hub must understand itself: those of the handshake, and closing ones (RFC 6455 section 5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::code;

/// Longest payload of a control frame, in bytes.
const CONTROL_BYTES_MAX: usize = 125;
/// Longest frame header: two bytes, the long length and the mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Which side wrote a frame; clients mask, servers do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Upstream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// What a connection is closed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloseFrame {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl CloseFrame {
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// As a server sends it.
    pub(super) fn encode(&self) -> Bytes {
        let mut end = self.reason.len().min(CONTROL_BYTES_MAX - 2);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = BytesMut::with_capacity(2 + end);
        payload.put_u16(self.code);
        payload.put_slice(&self.reason.as_bytes()[..end]);
        encode(Opcode::Close, &payload, None)
    }

    /// Reads the payload of a closing frame; what is not of valid form becomes a protocol error.
    pub(super) fn decode(mut payload: Bytes) -> Self {
        // 1005 and 1006 are never on the wire; an empty frame means a normal end.
        let invalid = || Self::new(code::PROTOCOL, "invalid closing frame");
        match payload.len() {
            0 => Self::new(1000, ""),
            1 => invalid(),
            _ => {
                let code = payload.get_u16();
                match (code, String::from_utf8(payload.to_vec())) {
                    (1000..=1003 | 1007..=1014 | 3000..=4999, Ok(reason)) => Self { code, reason },
                    _ => invalid(),
                }
            }
        }
    }
}

/// One whole frame, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

/// Takes one frame off the front of `buf`, or `None` when it is not complete yet; a payload longer than `bytes_max` is
/// refused before it is read.
pub(super) fn decode(buf: &mut BytesMut, from: From, bytes_max: usize) -> Result<Option<Frame>, CloseFrame> {
    let Some(header) = Header::parse(buf) else { return Ok(None) };
    let protocol = |reason| Err(CloseFrame::new(code::PROTOCOL, reason));
    if buf[0] & RESERVED != 0 {
        return protocol("reserved bits are set");
    }
    if header.masked != (from == From::Client) {
        return protocol("a frame is masked the wrong way");
    }
    let opcode = match header.opcode {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        _ => return protocol("unknown opcode"),
    };
    let control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    let fin = buf[0] & FIN != 0;
    if control && (!fin || header.payload > CONTROL_BYTES_MAX as u64) {
        return protocol("a control frame is too long or in parts");
    }
    if !control && header.payload > bytes_max as u64 {
        return Err(CloseFrame::new(code::TOO_BIG, "a message of the handshake is too big"));
    }
    // Bounded above, so it fits.
    let payload_len = header.payload as usize;
    if buf.len() < header.len + payload_len {
        return Ok(None);
    }
    let mask =
        header.masked.then(|| [buf[header.len - 4], buf[header.len - 3], buf[header.len - 2], buf[header.len - 1]]);
    buf.advance(header.len);
    let mut payload = buf.split_to(payload_len);
    if let Some(mask) = mask {
        apply(&mut payload, mask);
    }
    Ok(Some(Frame { fin, opcode, payload: payload.freeze() }))
}

/// Writes one final frame, masked when a mask is given.
pub(super) fn encode(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES_MAX + payload.len());
    out.put_u8(
        FIN | match opcode {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        },
    );
    let bit = if mask.is_some() { MASKED } else { 0 };
    match payload.len() {
        len @ 0..=125 => out.put_u8(bit | len as u8),
        len @ 126..=0xffff => {
            out.put_u8(bit | 126);
            out.put_u16(len as u16);
        }
        len => {
            out.put_u8(bit | 127);
            out.put_u64(len as u64);
        }
    }
    if let Some(mask) = mask {
        out.put_slice(&mask);
    }
    let start = out.len();
    out.put_slice(payload);
    if let Some(mask) = mask {
        apply(&mut out[start..], mask);
    }
    out.freeze()
}

fn apply(payload: &mut [u8], mask: [u8; 4]) {
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

struct Header {
    len: usize,
    opcode: u8,
    masked: bool,
    payload: u64,
}

impl Header {
    fn parse(buf: &[u8]) -> Option<Self> {
        let (first, second) = (*buf.first()?, *buf.get(1)?);
        let masked = second & MASKED != 0;
        let (length_bytes, payload) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(buf.get(2..4)?.try_into().ok()?))),
            127 => (8, u64::from_be_bytes(buf.get(2..10)?.try_into().ok()?)),
            short => (0, u64::from(short)),
        };
        let len = 2 + length_bytes + if masked { 4 } else { 0 };
        (buf.len() >= len).then_some(Self { len, opcode: first & 0x0f, masked, payload })
    }
}

/// Follows a stream of frames by their lengths, without looking into them: so that a frame of the hub's own can be put
/// between two of them, and never into one.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    payload_left: u64,
    closed: bool,
}

impl Boundary {
    /// Takes note of bytes that went by.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skip = self.payload_left.min(bytes.len() as u64);
            self.payload_left -= skip;
            // Not above the length of a slice.
            bytes = &bytes[skip as usize..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.header[self.header_len] = *first;
            self.header_len += 1;
            bytes = rest;
            // The longest header is complete by construction, so the array is never overrun.
            if let Some(header) = Header::parse(&self.header[..self.header_len]) {
                self.closed |= header.opcode == 0x8;
                self.payload_left = header.payload;
                self.header_len = 0;
            }
        }
    }

    /// Whether the last frame is complete.
    pub(super) fn is_between_frames(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }

    /// Whether a closing frame went by.
    pub(super) fn saw_close(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests;
