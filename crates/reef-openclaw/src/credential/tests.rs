use std::collections::HashSet;

use ed25519_dalek::{Signature, VerifyingKey};
use reef_driver::AgentKind;

use super::*;
use crate::OpenClaw;

#[test]
fn stored_form_round_trips() {
    let made = Credential::generate();
    let read = Credential::parse(&made.to_stored()).unwrap();
    assert_eq!(read.token().expose_secret(), made.token().expose_secret());
    assert_eq!(read.device_id(), made.device_id());
    let asked = OpenClaw.gateway_token(&made.to_stored()).expect("owners may ask for it");
    assert_eq!(asked.expose_secret(), made.token().expose_secret());
}

#[test]
fn every_credential_is_new_and_long_enough() {
    let tokens: HashSet<String> = (0..64).map(|_| Credential::generate().token().expose_secret().to_owned()).collect();
    assert_eq!(tokens.len(), 64);
    for token in tokens {
        assert_eq!(URL_SAFE_NO_PAD.decode(&token).unwrap().len(), TOKEN_BYTES);
    }
}

#[test]
fn foreign_forms_are_refused() {
    let seed = URL_SAFE_NO_PAD.encode([7; 32]);
    for (text, expect) in [
        (String::new(), CredentialError::Form),
        ("{}".to_owned(), CredentialError::Form),
        (format!(r#"{{"token":"","deviceSeed":"{seed}"}}"#), CredentialError::Form),
        (format!(r#"{{"token":"t","deviceSeed":"{seed}","more":1}}"#), CredentialError::Form),
        (r#"{"token":"t","deviceSeed":"!"}"#.to_owned(), CredentialError::DeviceKey),
        (r#"{"token":"t","deviceSeed":"AAAA"}"#.to_owned(), CredentialError::DeviceKey),
    ] {
        let err = Credential::parse(&AgentCredential(text.clone().into())).unwrap_err();
        assert_eq!(err, expect, "{text}");
    }
}

#[test]
fn proof_is_over_the_text_that_the_gateway_builds() {
    let credential = Credential::generate();
    let proof = credential.prove(&ProofInput {
        client_id: "gateway-client",
        client_mode: "backend",
        platform: " Linux ",
        device_family: "",
        role: "operator",
        scopes: &["operator.admin", "operator.read"],
        token: "secret",
        nonce: "n-1",
        signed_at_ms: 1_700_000_000_000,
    });
    let text = format!(
        "v3|{}|gateway-client|backend|operator|operator.admin,operator.read|1700000000000|secret|n-1|linux|",
        credential.device_id()
    );
    let key = URL_SAFE_NO_PAD.decode(&proof.public_key).unwrap();
    let key = VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(&proof.signature).unwrap()).unwrap();
    key.verify_strict(text.as_bytes(), &signature).unwrap();
    assert_eq!(proof.signed_at, 1_700_000_000_000);
    assert_eq!(proof.nonce, "n-1");
}

#[test]
fn nothing_shows_the_secrets() {
    let credential = Credential::generate();
    let stored = credential.to_stored();
    let shown = format!("{credential:?} {stored:?}");
    assert!(!shown.contains(credential.token().expose_secret()), "{shown}");
    assert!(!shown.contains(&URL_SAFE_NO_PAD.encode(credential.device.to_bytes())), "{shown}");
}
