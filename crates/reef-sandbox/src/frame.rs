//! How the shim is told: JSON in frames, each with its length in front.
//!
//! The secrets of an instance come in a second frame. It is read only after the first process was forked off, so that no
//! process of the agent's identity ever has them in its memory.

use std::io::{self, Read};

use serde::{Serialize, de::DeserializeOwned};

use crate::spec::FRAME_BYTES_MAX;

/// One frame.
///
/// # Errors
/// `InvalidInput` when the message is too large.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(body);
    Ok(frame)
}

/// Reads one frame and not a byte more.
///
/// # Errors
/// `InvalidData` when it is too large or not of the expected form. The text never quotes what was read.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    serde_json::from_slice(&body)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not of the expected form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_to_its_end_and_no_further() {
        let mut both = encode(&"one").unwrap();
        both.extend(encode(&2).unwrap());
        let mut from = both.as_slice();
        assert_eq!(read::<String>(&mut from).unwrap(), "one");
        assert_eq!(read::<i32>(&mut from).unwrap(), 2);
        assert!(from.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_without_being_quoted() {
        let secret = encode(&"s3cret").unwrap();
        let message = read::<i32>(&mut secret.as_slice()).unwrap_err().to_string();
        assert!(!message.contains("s3cret"), "{message}");
        assert!(read::<i32>(&mut [0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
        assert!(read::<i32>(&mut [0, 0, 0, 9, b'1'].as_slice()).is_err());
        assert!(encode(&"x".repeat(FRAME_BYTES_MAX as usize)).is_err());
    }
}
