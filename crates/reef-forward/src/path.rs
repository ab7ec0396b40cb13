//! What a path must look like before it is sent to an instance: one reading only, whoever parses it.

use reef_types::{ApiError, ErrorCode};

/// Decodings that are looked at. Servers decode once; one more catches those that do it twice.
const DECODINGS_MAX: usize = 2;

/// Checks the path part (no query) of a forwarded request.
///
/// # Errors
/// `invalid_proxy_path` unless the path starts with `/` and neither it nor its decoded forms hold an empty or dot
/// segment, a backslash, a control byte or text that is not UTF-8.
pub fn validate(raw_path: &str) -> Result<(), ApiError> {
    // Raw bytes first: what a URI may not hold at all, and the query or fragment that would end the path.
    if !raw_path.starts_with('/') || raw_path.bytes().any(|b| !b.is_ascii_graphic() || b == b'?' || b == b'#') {
        return Err(invalid());
    }
    let mut text = raw_path.to_owned();
    check(&text)?;
    for round in 0..DECODINGS_MAX {
        let decoded = percent_decode(&text).and_then(|bytes| String::from_utf8(bytes).ok());
        text = match decoded {
            Some(decoded) => decoded,
            // A stray `%` is an error in what was sent, and an ordinary character in what was decoded once.
            None if round > 0 => return Ok(()),
            None => return Err(invalid()),
        };
        check(&text)?;
    }
    Ok(())
}

fn check(path: &str) -> Result<(), ApiError> {
    let bad_byte = path.bytes().any(|b| b.is_ascii_control() || b == b'\\');
    // Some servers drop what follows a `;` in a segment, so `..;x` is as bad as `..`.
    let bad_segment = path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
    if bad_byte || bad_segment || path.contains("//") { Err(invalid()) } else { Ok(()) }
}

/// Undoes percent-encoding once (RFC 3986 section 2.1); `None` when a `%` is not followed by two hex digits.
pub(crate) fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}

fn invalid() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidProxyPath,
        "the path must start with one '/' and hold no empty or dot segment, backslash or control character, encoded or not",
    )
}

#[cfg(test)]
mod tests;
