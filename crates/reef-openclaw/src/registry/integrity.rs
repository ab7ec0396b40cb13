//! Checking what was fetched against what the registry promised (W3C Subresource Integrity, as npm uses it).

use std::{fmt::Write as _, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha512};

use super::RegistryError;

/// Read size when hashing a file, in bytes.
const CHUNK_BYTES: usize = 128 * 1024;

/// The digest that a file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrity {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// Only for packages so old that the registry knows nothing better.
    Sha1,
    Sha512,
}

impl Integrity {
    /// Reads `dist.integrity`; other algorithms than SHA-512 in it are passed over.
    pub fn from_sri(text: &str) -> Option<Self> {
        let encoded = text.split_ascii_whitespace().find_map(|entry| entry.strip_prefix("sha512-"))?;
        // Options after `?` are allowed by the format and mean nothing here.
        let digest = STANDARD.decode(encoded.split('?').next()?).ok()?;
        (digest.len() == 64).then_some(Self { algorithm: Algorithm::Sha512, digest })
    }

    /// Reads `dist.shasum`: hexadecimal SHA-1.
    pub fn from_shasum(text: &str) -> Option<Self> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let digest: Vec<u8> = text.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
        (text.len() == 40).then_some(Self { algorithm: Algorithm::Sha1, digest })
    }

    /// A name for a file with this content, fit for any file system.
    pub fn file_name(&self) -> String {
        let mut name = match self.algorithm {
            Algorithm::Sha1 => "sha1-",
            Algorithm::Sha512 => "sha512-",
        }
        .to_owned();
        for byte in &self.digest {
            write!(name, "{byte:02x}").expect("writing to a string cannot fail");
        }
        name
    }

    /// Whether a file has this digest. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn matches(&self, path: &Path) -> Result<bool, RegistryError> {
        let digest = match self.algorithm {
            Algorithm::Sha1 => digest_of::<Sha1>(path),
            Algorithm::Sha512 => digest_of::<Sha512>(path),
        };
        Ok(digest.map_err(RegistryError::io("a fetched package cannot be read"))? == self.digest)
    }
}

fn digest_of<D: Digest>(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = D::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&chunk[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        let sri = "sha256-ignored sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==?x";
        let right = [
            Integrity::from_sri(sri).unwrap(),
            Integrity::from_shasum("a9993e364706816aba3e25717850c26c9cd0d89d").unwrap(),
        ];
        for integrity in &right {
            assert!(integrity.matches(&file).unwrap());
        }
        std::fs::write(&file, "abd").unwrap();
        for integrity in &right {
            assert!(!integrity.matches(&file).unwrap());
        }
        assert!(right[1].file_name().ends_with("-a9993e364706816aba3e25717850c26c9cd0d89d"));
    }

    #[test]
    fn broken_digests_are_none() {
        for sri in ["", "sha512-", "sha512-AAAA", "sha256-AAAA", "sha512-!!"] {
            assert_eq!(Integrity::from_sri(sri), None, "{sri}");
        }
        for shasum in ["", "a9", "zz993e364706816aba3e25717850c26c9cd0d89d", "a9993e364706816aba3e25717850c26c9cd0d89"]
        {
            assert_eq!(Integrity::from_shasum(shasum), None, "{shasum}");
        }
    }
}
