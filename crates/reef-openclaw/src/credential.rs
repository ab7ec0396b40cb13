//! The hub's credential for one gateway: the shared token and an Ed25519 device identity.
//!
//! Both come from the system's random source and are worth nothing outside their instance. This module makes, stores and
//! signs; it never sends anything and never shows a secret.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use reef_driver::AgentCredential;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Random bytes in a token (256 bits).
const TOKEN_BYTES: usize = 32;

/// Version of the proof's text that is signed.
const PROOF_VERSION: &str = "v3";

/// Why a stored credential cannot be used. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("the stored credential is not of the known form")]
    Form,
    #[error("the stored device key is not a key")]
    DeviceKey,
}

/// What the hub proves itself with to one gateway.
#[derive(Clone)]
pub struct Credential {
    token: SecretString,
    device: SigningKey,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("device_id", &self.device_id()).finish_non_exhaustive()
    }
}

/// The form in which it is kept in the vault.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    token: String,
    device_seed: String,
}

/// What a device proof is made over; see [`Credential::prove`].
#[derive(Debug, Clone, Copy)]
pub struct ProofInput<'a> {
    pub client_id: &'a str,
    pub client_mode: &'a str,
    pub platform: &'a str,
    pub device_family: &'a str,
    pub role: &'a str,
    pub scopes: &'a [&'a str],
    /// The secret that goes along in `auth`, or empty.
    pub token: &'a str,
    pub nonce: &'a str,
    /// Time of the challenge, in milliseconds since 1970.
    pub signed_at_ms: u64,
}

/// The `device` object of a connect request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceProof {
    pub id: String,
    pub public_key: String,
    pub signature: String,
    pub signed_at: u64,
    pub nonce: String,
}

impl Credential {
    /// A fresh credential.
    ///
    /// # Panics
    /// When the system has no random source: nothing safe could be done after that.
    pub fn generate() -> Self {
        let token = URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>());
        Self { token: token.into(), device: SigningKey::from_bytes(&random()) }
    }

    /// Reads a credential back from the vault's form.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub fn parse(stored: &AgentCredential) -> Result<Self, CredentialError> {
        let stored: Stored = serde_json::from_str(stored.0.expose_secret()).map_err(|_| CredentialError::Form)?;
        let seed = URL_SAFE_NO_PAD.decode(&stored.device_seed).map_err(|_| CredentialError::DeviceKey)?;
        let seed = <[u8; 32]>::try_from(seed).map_err(|_| CredentialError::DeviceKey)?;
        if stored.token.is_empty() {
            return Err(CredentialError::Form);
        }
        Ok(Self { token: stored.token.into(), device: SigningKey::from_bytes(&seed) })
    }

    /// The form in which the vault keeps it.
    pub fn to_stored(&self) -> AgentCredential {
        let stored = Stored {
            token: self.token.expose_secret().to_owned(),
            device_seed: URL_SAFE_NO_PAD.encode(self.device.to_bytes()),
        };
        let text = serde_json::to_string(&stored).expect("two strings are always JSON");
        AgentCredential(text.into())
    }

    /// The gateway's shared token.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The device's public name: the SHA-256 of its public key, in hex.
    pub fn device_id(&self) -> String {
        let digest = Sha256::digest(self.device.verifying_key().to_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Signs a challenge. The gateway puts the same text together from the connect request and compares.
    pub fn prove(&self, input: &ProofInput<'_>) -> DeviceProof {
        let id = self.device_id();
        let signed_at = input.signed_at_ms.to_string();
        let text = [
            PROOF_VERSION,
            &id,
            input.client_id,
            input.client_mode,
            input.role,
            &input.scopes.join(","),
            &signed_at,
            input.token,
            input.nonce,
            &input.platform.trim().to_lowercase(),
            &input.device_family.trim().to_lowercase(),
        ]
        .join("|");
        DeviceProof {
            id,
            public_key: URL_SAFE_NO_PAD.encode(self.device.verifying_key().to_bytes()),
            signature: URL_SAFE_NO_PAD.encode(self.device.sign(text.as_bytes()).to_bytes()),
            signed_at: input.signed_at_ms,
            nonce: input.nonce.to_owned(),
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("without the system's random source no secret can be made");
    bytes
}

#[cfg(test)]
mod tests;
