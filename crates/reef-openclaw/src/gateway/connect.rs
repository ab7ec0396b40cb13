//! The handshake's messages: challenge, connect request, hello. Sans IO, shared by the link and by people's connections.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PROTOCOL, error::ConnectError, frame::Frame};
use crate::credential::{Credential, ProofInput};

/// The role of everything that is not a node.
pub(crate) const ROLE: &str = "operator";

/// The scope without which the hub cannot do its work.
const ADMIN: &str = "operator.admin";

/// Every scope there is.
pub(crate) const SCOPES: &[&str] = &[
    ADMIN,
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
    "operator.talk",
    "operator.talk.secrets",
];

/// What the link can make use of. Without `tool-events` the gateway sends none.
const CAPS: &[&str] = &["tool-events"];

/// Time between two ticks when the gateway does not say, in milliseconds.
const TICK_MS_DEFAULT: u64 = 30_000;

/// Limits within which the gateway may set the time between two ticks, in milliseconds.
const TICK_MS_RANGE: std::ops::RangeInclusive<u64> = 100..=300_000;

/// The gateway's first message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) nonce: String,
    /// Milliseconds since 1970.
    pub(crate) ts: u64,
}

impl Challenge {
    /// # Errors
    /// `Protocol` when it is not a challenge that a device proof can answer.
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectError> {
        match serde_json::from_str(text) {
            Ok(Frame::Event(event)) if event.event == "connect.challenge" => serde_json::from_value(event.payload)
                .map_err(|_| ConnectError::Protocol("the challenge has no nonce and time".to_owned())),
            _ => Err(ConnectError::Protocol("the first message is not a challenge".to_owned())),
        }
    }
}

/// Who says hello, as the gateway's `client` object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientInfo<'a> {
    pub(crate) id: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) device_family: &'a str,
}

/// The link's own `client` object. This id and mode get their scopes from a loopback peer without pairing.
pub(crate) const LINK_CLIENT: ClientInfo<'static> =
    ClientInfo { id: "gateway-client", mode: "backend", platform: std::env::consts::OS, device_family: "" };

/// The secret that goes along with the device proof.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secret<'a> {
    /// The gateway's shared token.
    Shared(&'a SecretString),
    /// What the gateway issued to our device; works while the shared token is rate limited.
    Device(&'a SecretString),
}

/// The fields `role`, `scopes`, `auth` and `device` of a connect request.
pub(crate) fn authentication(
    credential: &Credential,
    secret: Secret<'_>,
    client: ClientInfo<'_>,
    challenge: &Challenge,
) -> [(&'static str, Value); 4] {
    let (field, token) = match secret {
        Secret::Shared(token) => ("token", token.expose_secret()),
        Secret::Device(token) => ("deviceToken", token.expose_secret()),
    };
    let proof = credential.prove(&ProofInput {
        client_id: client.id,
        client_mode: client.mode,
        platform: client.platform,
        device_family: client.device_family,
        role: ROLE,
        scopes: SCOPES,
        token,
        nonce: &challenge.nonce,
        signed_at_ms: challenge.ts,
    });
    [("role", ROLE.into()), ("scopes", json!(SCOPES)), ("auth", json!({ field: token })), ("device", json!(proof))]
}

/// The link's connect parameters.
pub(crate) fn link_params(credential: &Credential, secret: Secret<'_>, challenge: &Challenge) -> Value {
    let mut params = json!({
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": {
            "id": LINK_CLIENT.id,
            "mode": LINK_CLIENT.mode,
            "platform": LINK_CLIENT.platform,
            "version": env!("CARGO_PKG_VERSION"),
            "displayName": "Reef",
        },
        "caps": CAPS,
    });
    for (field, value) in authentication(credential, secret, LINK_CLIENT, challenge) {
        params[field] = value;
    }
    params
}

/// What the link needs of the gateway's hello.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) server_version: String,
    pub(crate) device_token: Option<SecretString>,
    /// Time between two signs of life.
    pub(crate) tick: Duration,
    /// Agent that a session without an agent's name belongs to.
    pub(crate) default_agent: Option<String>,
    /// Key of the session that people call `main`.
    pub(crate) main_session: Option<String>,
}

impl Hello {
    /// # Errors
    /// `Version` when it is another protocol, `NoAdmin` when the rights are not enough, `Protocol` when it is no hello.
    pub(crate) fn parse(payload: &Value) -> Result<Self, ConnectError> {
        if payload["type"] != "hello-ok" {
            return Err(ConnectError::Protocol("the answer to connect is not a hello".to_owned()));
        }
        if payload["protocol"] != PROTOCOL {
            return Err(ConnectError::Version { theirs: payload["protocol"].to_string() });
        }
        let auth = &payload["auth"];
        // A connection without rights is accepted too, and every call on it fails later.
        if !auth["scopes"].as_array().is_some_and(|scopes| scopes.iter().any(|scope| scope == ADMIN)) {
            return Err(ConnectError::NoAdmin);
        }
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let tick_ms = payload["policy"]["tickIntervalMs"].as_u64().unwrap_or(TICK_MS_DEFAULT);
        let defaults = &payload["snapshot"]["sessionDefaults"];
        Ok(Self {
            server_version: text(&payload["server"]["version"]).unwrap_or_default(),
            device_token: text(&auth["deviceToken"]).map(SecretString::from),
            tick: Duration::from_millis(tick_ms.clamp(*TICK_MS_RANGE.start(), *TICK_MS_RANGE.end())),
            default_agent: text(&defaults["defaultAgentId"]),
            main_session: text(&defaults["mainSessionKey"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge() {
        let good = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":5,"capabilities":[]}}"#;
        assert_eq!(Challenge::parse(good), Ok(Challenge { nonce: "n".to_owned(), ts: 5 }));
        for bad in [
            "",
            "hello",
            r#"{"type":"res","id":"1","ok":true}"#,
            r#"{"type":"event","event":"tick","payload":{}}"#,
            r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n"}}"#,
            r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":-1}}"#,
        ] {
            assert!(matches!(Challenge::parse(bad), Err(ConnectError::Protocol(_))), "{bad}");
        }
    }

    fn hello() -> Value {
        json!({
            "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6"},
            "auth": {"role": "operator", "scopes": ["operator.admin"], "deviceToken": "d"},
            "policy": {"tickIntervalMs": 15000},
            "snapshot": {"sessionDefaults": {"defaultAgentId": "main", "mainSessionKey": "agent:main:main"}},
        })
    }

    #[test]
    fn hello_is_read() {
        let hello = Hello::parse(&hello()).unwrap();
        assert_eq!(hello.server_version, "2026.9.6");
        assert_eq!(hello.tick, Duration::from_secs(15));
        assert_eq!(hello.main_session.as_deref(), Some("agent:main:main"));
        assert_eq!(hello.device_token.unwrap().expose_secret(), "d");
    }

    #[test]
    fn rights_and_version_are_checked_not_assumed() {
        let mut powerless = hello();
        powerless["auth"]["scopes"] = json!([]);
        assert_eq!(Hello::parse(&powerless).unwrap_err(), ConnectError::NoAdmin);
        let mut newer = hello();
        newer["protocol"] = json!(5);
        let err = Hello::parse(&newer).unwrap_err();
        assert_eq!(err.to_string(), "the gateway speaks protocol 5, this build speaks 4");
        assert!(matches!(Hello::parse(&json!({"ok": true})), Err(ConnectError::Protocol(_))));
    }

    #[test]
    fn a_mad_tick_is_clamped() {
        let mut mad = hello();
        mad["policy"]["tickIntervalMs"] = json!(0);
        assert_eq!(Hello::parse(&mad).unwrap().tick, Duration::from_millis(*TICK_MS_RANGE.start()));
    }

    #[test]
    fn device_token_goes_where_it_belongs() {
        let credential = Credential::generate();
        let challenge = Challenge { nonce: "n".to_owned(), ts: 5 };
        let token = SecretString::from("issued");
        let params = link_params(&credential, Secret::Device(&token), &challenge);
        assert_eq!(params["auth"], json!({"deviceToken": "issued"}));
        assert_eq!(params["device"]["id"], credential.device_id());
        let params = link_params(&credential, Secret::Shared(credential.token()), &challenge);
        assert_eq!(params["auth"], json!({"token": credential.token().expose_secret()}));
    }
}
