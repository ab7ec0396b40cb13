//! Secrets at rest: XChaCha20-Poly1305 envelopes under a key that is a file of its own, never in the database.
//!
//! Each value has its own random data key, sealed by the vault's key, so that changing the vault's key will not mean
//! reading every value. Both seals are bound to table, column, row and version: a ciphertext that is moved to another row,
//! or put into a row that has a newer value, does not open. Putting a whole older row or database back is not noticed: what
//! would notice it cannot be in the database.

mod key;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub(crate) use key::{load, prepare};

use crate::{KeyError, StoreError};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The first byte of an envelope, for the day when there is another form.
const FORM: u8 = 1;
/// Form, sealed data key, then the sealed value.
const VALUE_AT: usize = 1 + NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// Which cell of the database a value belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
    /// The parts of the row's key.
    pub(crate) row: [&'a str; 2],
    pub(crate) version: u64,
}

impl Cell<'_> {
    /// Every part with its length before it, so that no two cells have the same bytes.
    fn bytes(&self, purpose: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [purpose, self.table, self.column, self.row[0], self.row[1]] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes
    }
}

/// Seals and opens values. Holds the key; never shows it.
pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// The bytes to store for a value.
    pub(crate) fn seal(&self, cell: Cell<'_>, value: &SecretString) -> Result<Vec<u8>, StoreError> {
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        fill_random(&mut *data_key)?;
        let data_cipher = XChaCha20Poly1305::new((&*data_key).into());
        let mut envelope = vec![FORM];
        envelope.extend(seal_bytes(&self.cipher, &*data_key, &cell.bytes("key"))?);
        envelope.extend(seal_bytes(&data_cipher, value.expose_secret().as_bytes(), &cell.bytes("value"))?);
        Ok(envelope)
    }

    /// The value of stored bytes; `Corrupt` when they were changed or belong to another cell.
    pub(crate) fn open(&self, cell: Cell<'_>, envelope: &[u8]) -> Result<SecretString, StoreError> {
        let damaged = || StoreError::corrupt("a secret does not open: it was changed or moved");
        let (head, sealed_value) = envelope.split_at_checked(VALUE_AT).ok_or_else(damaged)?;
        let (form, sealed_key) = head.split_first().ok_or_else(damaged)?;
        if *form != FORM {
            return Err(damaged());
        }
        let data_key = open_bytes(&self.cipher, sealed_key, &cell.bytes("key")).ok_or_else(damaged)?;
        let data_cipher = XChaCha20Poly1305::new_from_slice(&data_key).map_err(|_| damaged())?;
        let value = open_bytes(&data_cipher, sealed_value, &cell.bytes("value")).ok_or_else(damaged)?;
        let text = std::str::from_utf8(&value).map_err(|_| damaged())?;
        Ok(SecretString::from(text))
    }
}

/// A random nonce, then the ciphertext. 24 random bytes do not repeat within any number of secrets that fits a disk.
fn seal_bytes(cipher: &XChaCha20Poly1305, msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce)?;
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg, aad });
    let sealed = sealed.map_err(|_| StoreError::corrupt("a secret is too long to be sealed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open_bytes(cipher: &XChaCha20Poly1305, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad }).ok().map(Zeroizing::new)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|_| KeyError::NoRandom.into())
}

#[cfg(test)]
mod tests;
