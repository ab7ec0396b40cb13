//! Random secrets that stand for a right: API tokens, session cookies and setup codes.
//!
//! All have one form: a prefix that names the kind, 43 random characters (256 bits) and a checksum, so that a typo or a
//! token of the wrong kind is recognised without a look into the database, and a leaked one by any scanner. Only the
//! SHA-256 is stored: it needs no salt, because nobody can guess 256 bits.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of 62 are 256.03 bits.
const RANDOM_CHARS: usize = 43;
/// 6 characters of 62 hold the 32 bits of the checksum.
const CHECK_CHARS: usize = 6;
/// The largest multiple of 62 in a byte: bytes from here on are drawn again, because taking the remainder of them would
/// prefer some characters.
const UNIFORM_BELOW: u8 = 248;
/// Random bytes fetched at once; 43 good ones are nearly always among them.
const DRAW_BYTES: usize = 64;

/// What a secret stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An API token, `reef_…`.
    Api,
    /// The value of a session cookie, `reefses_…`.
    Session,
    /// A one-time code for the first sign-in, `reefset_…`.
    Setup,
    /// An instance's virtual key for its own door to the broker, `reefkey_…`; opens nothing else.
    Broker,
}

/// The operating system gave no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random numbers")]
pub struct NoRandom;

/// A new secret, to be shown once, and what is stored of it.
#[derive(Debug)]
pub struct Generated {
    pub secret: SecretString,
    /// SHA-256 of the secret's text.
    pub hash: [u8; 32],
}

impl Kind {
    /// What secrets of this kind begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Api => "reef_",
            Kind::Session => "reefses_",
            Kind::Setup => "reefset_",
            Kind::Broker => "reefkey_",
        }
    }

    /// Makes a new secret.
    pub fn generate(self) -> Result<Generated, NoRandom> {
        let length = self.prefix().len() + RANDOM_CHARS + CHECK_CHARS;
        // Exactly as long as needed, so that it is never moved and left behind in freed memory.
        let mut text = String::with_capacity(length);
        text.push_str(self.prefix());
        push_random(&mut text)?;
        push_check(&mut text);
        let hash = sha256(&text);
        Ok(Generated { secret: SecretString::from(text), hash })
    }

    /// What to look up for a text that somebody sent; none when it cannot be a secret of this kind.
    pub fn hash_of(self, text: &str) -> Option<[u8; 32]> {
        let rest = text.strip_prefix(self.prefix())?;
        if rest.len() != RANDOM_CHARS + CHECK_CHARS || !rest.bytes().all(|b| ALPHABET.contains(&b)) {
            return None;
        }
        let (body, check) = text.split_at(text.len() - CHECK_CHARS);
        (checksum(body).as_slice() == check.as_bytes()).then(|| sha256(text))
    }
}

impl Generated {
    /// The secret's text, for the one place that shows it.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// Compares without telling by the time taken where the first difference is; the lengths are no secret.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn push_random(text: &mut String) -> Result<(), NoRandom> {
    let mut missing = RANDOM_CHARS;
    let mut draw = zeroize::Zeroizing::new([0; DRAW_BYTES]);
    while missing > 0 {
        getrandom::fill(draw.as_mut_slice()).map_err(|_| NoRandom)?;
        for byte in draw.iter().filter(|byte| **byte < UNIFORM_BELOW).take(missing) {
            text.push(ALPHABET[usize::from(byte % 62)].into());
            missing -= 1;
        }
    }
    Ok(())
}

fn push_check(text: &mut String) {
    let check = checksum(text);
    text.extend(check.map(char::from));
}

/// The CRC-32 of the text in six characters. Finds typing errors; proves nothing.
fn checksum(text: &str) -> [u8; CHECK_CHARS] {
    let mut rest = crc32(text.as_bytes());
    let mut chars = [0; CHECK_CHARS];
    for char in chars.iter_mut().rev() {
        *char = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    chars
}

/// CRC-32 as in IEEE 802.3. Bit by bit: the texts are 60 bytes long.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 })
    })
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests;
