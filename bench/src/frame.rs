//! WebSocket frames, as far as the load needs them (RFC 6455 section 5.2): whole text or binary frames, no control frames.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest frame that is read.
const FRAME_BYTES_MAX: usize = 1 << 20;
const FINAL_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;

/// A text frame as a server sends it, or as a client does: masked, with a mask that changes nothing.
pub(crate) fn encode(payload: &[u8], client: bool) -> Vec<u8> {
    let mask_bit = if client { MASKED } else { 0 };
    let mut frame = vec![FINAL_TEXT];
    match payload.len() {
        short @ 0..126 => frame.push(short as u8 | mask_bit),
        medium @ 126..65_536 => {
            frame.push(126 | mask_bit);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127 | mask_bit);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    if client {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}

/// Reads the payload of one frame into `payload`.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin), payload: &mut Vec<u8>) -> io::Result<()> {
    let mut head = [0; 2];
    from.read_exact(&mut head).await?;
    let bytes = match head[1] & !MASKED {
        126 => usize::from(from.read_u16().await?),
        127 => usize::try_from(from.read_u64().await?).unwrap_or(usize::MAX),
        short => usize::from(short),
    };
    if bytes > FRAME_BYTES_MAX {
        return Err(io::Error::other("a frame of this length was not asked for"));
    }
    let mut mask = [0; 4];
    if head[1] & MASKED != 0 {
        from.read_exact(&mut mask).await?;
    }
    payload.resize(bytes, 0);
    from.read_exact(payload).await?;
    if mask != [0; 4] {
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    Ok(())
}
