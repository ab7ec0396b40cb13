//! Frames: a length and JSON. No bytes are read beyond a frame, since a socket may come attached to the next one.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::FRAME_BYTES_MAX;

const LENGTH_BYTES: usize = 4;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a message of {bytes} bytes is larger than the {FRAME_BYTES_MAX} allowed")]
    TooLarge { bytes: usize },
    #[error("the connection was cut in the middle of a message")]
    Truncated,
    /// Position and kind of the fault only: the parser's own words quote the input, and that may be a secret.
    #[error("a message is not understood ({fault} at byte {column})")]
    Malformed { fault: &'static str, column: usize },
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

impl FrameError {
    fn malformed(err: &serde_json::Error) -> Self {
        let fault = match err.classify() {
            serde_json::error::Category::Data => "unexpected field, verb or value",
            serde_json::error::Category::Syntax => "not JSON",
            serde_json::error::Category::Eof => "incomplete JSON",
            serde_json::error::Category::Io => "unreadable",
        };
        Self::Malformed { fault, column: err.column() }
    }
}

/// The bytes of one frame.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, value).map_err(|err| FrameError::malformed(&err))?;
    let bytes = frame.len() - LENGTH_BYTES;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    let length = u32::try_from(bytes).map_err(|_| FrameError::TooLarge { bytes })?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> Result<(), FrameError> {
    stream.write_all(&encode(value)?).await.map_err(FrameError::Io)
}

/// The next frame, or none when the peer closed the connection between two.
pub(crate) async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<T>, FrameError> {
    let mut length = [0; LENGTH_BYTES];
    match stream.read(&mut length).await.map_err(FrameError::Io)? {
        0 => return Ok(None),
        got => read_all(stream, &mut length[got..]).await?,
    }
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    // Grows with what really comes, so that a claimed length alone costs no memory.
    let mut body = Vec::new();
    stream.take(bytes as u64).read_to_end(&mut body).await.map_err(FrameError::Io)?;
    if body.len() < bytes {
        return Err(FrameError::Truncated);
    }
    serde_json::from_slice(&body).map(Some).map_err(|err| FrameError::malformed(&err))
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), FrameError> {
    match stream.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Err(FrameError::Truncated),
        Err(err) => Err(FrameError::Io(err)),
    }
}
