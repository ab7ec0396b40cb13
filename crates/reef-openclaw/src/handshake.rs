//! Puts the hub's authentication into a person's own connection to the gateway, and takes every secret out of the answer.
//!
//! The gateway sees a loopback peer without an `Origin`. Browser clients (`openclaw-control-ui`, `webchat-ui`, mode
//! `webchat`) are refused there whatever they prove, so they are introduced as `gateway-client` in mode `ui`; the frames
//! after the handshake are the same for both. All people share the instance's one device, and the gateway pins platform
//! and device family to a device, so those two never come from the client.

use reef_driver::{AgentCredential, Handshake, HandshakeError};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use crate::{
    credential::{Credential, CredentialError},
    gateway::{
        PREAUTH_FRAME_BYTES_MAX,
        connect::{Challenge, ClientInfo, LINK_CLIENT, Secret, authentication},
    },
};

/// Close codes of RFC 6455 section 7.4.1.
mod close {
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const INTERNAL: u16 = 1011;
}

/// Parameters of a connect request that may come from the client.
const PARAMS_KEPT: &[&str] = &["minProtocol", "maxProtocol", "caps", "locale", "userAgent", "modelCatalog"];

/// Fields of `client` that may come from the client. `buildId` is missing: it belongs to the ids that are mapped.
const CLIENT_KEPT: &[&str] = &["id", "mode", "version", "displayName", "timeZone", "instanceId"];

/// Client ids that the gateway only accepts with an `Origin`.
const BROWSER_IDS: &[&str] = &["openclaw-control-ui", "webchat-ui", "webchat"];

/// Ids, modes and roles of machines, not of people. They would act as part of the agent.
const MACHINES: &[&str] = &["node", "worker", "node-host", "openclaw-worker"];

/// Keys whose values are credentials, wherever they stand in an answer.
const SECRET_KEYS: &[&str] = &[
    "token",
    "password",
    "deviceToken",
    "deviceTokens",
    "bootstrapToken",
    "setupCode",
    "recoveryScope",
    "recoveryMigrationAllowed",
    // URLs on the gateway's loopback with a capability in their path.
    "pluginSurfaceUrls",
];

/// The rewriting of one connection.
pub(crate) struct PersonHandshake {
    credential: Result<Credential, CredentialError>,
    challenge: Option<Challenge>,
}

impl PersonHandshake {
    pub(crate) fn new(stored: &AgentCredential) -> Self {
        Self { credential: Credential::parse(stored), challenge: None }
    }
}

impl Handshake for PersonHandshake {
    fn on_challenge(&mut self, text: &str) -> Result<String, HandshakeError> {
        let challenge = Challenge::parse(text).map_err(|err| refuse(close::PROTOCOL, err.to_string()))?;
        self.challenge = Some(challenge);
        Ok(text.to_owned())
    }

    fn on_connect(&mut self, text: &str) -> Result<String, HandshakeError> {
        let credential = self.credential.as_ref().map_err(|err| refuse(close::INTERNAL, err.to_string()))?;
        // Taken, so that one challenge is answered once.
        let challenge =
            self.challenge.take().ok_or_else(|| refuse(close::INTERNAL, "there is no challenge to answer"))?;
        if text.len() > PREAUTH_FRAME_BYTES_MAX {
            return Err(refuse(close::TOO_BIG, "the connect request is too long"));
        }
        let (id, params) = parse_connect(text)?;
        let rewritten = rewrite_params(&params, credential, &challenge)?;
        let request = serde_json::json!({ "type": "req", "id": id, "method": "connect", "params": rewritten });
        Ok(request.to_string())
    }

    fn on_answer(&mut self, text: &str) -> Result<String, HandshakeError> {
        let mut answer: Value = serde_json::from_str(text)
            .map_err(|_| refuse(close::PROTOCOL, "the gateway's answer is not a message of its protocol"))?;
        if answer["type"] != "res" || !answer["ok"].is_boolean() {
            return Err(refuse(close::PROTOCOL, "the gateway did not answer the connect request"));
        }
        remove_secrets(&mut answer);
        let cleaned = answer.to_string();
        // The keys above are those we know of; the value itself must not get out by any other.
        let leaks = self.credential.as_ref().is_ok_and(|c| cleaned.contains(c.token().expose_secret()));
        if leaks { Err(refuse(close::INTERNAL, "the gateway's answer cannot be passed on")) } else { Ok(cleaned) }
    }
}

fn refuse(close_code: u16, message: impl Into<String>) -> HandshakeError {
    HandshakeError { close_code, message: message.into() }
}

/// The id and the parameters of a connect request.
fn parse_connect(text: &str) -> Result<(Value, Map<String, Value>), HandshakeError> {
    let not_connect = || refuse(close::POLICY, "the first request must be connect");
    let mut frame: Value = serde_json::from_str(text).map_err(|_| not_connect())?;
    if frame["type"] != "req" || frame["method"] != "connect" || !frame["id"].is_string() {
        return Err(not_connect());
    }
    match frame["params"].take() {
        Value::Object(params) => Ok((frame["id"].take(), params)),
        _ => Err(not_connect()),
    }
}

fn rewrite_params(
    params: &Map<String, Value>,
    credential: &Credential,
    challenge: &Challenge,
) -> Result<Map<String, Value>, HandshakeError> {
    let mut client = match params.get("client") {
        Some(Value::Object(client)) => keep(client, CLIENT_KEPT),
        _ => return Err(refuse(close::POLICY, "the connect request names no client")),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut id, mut mode) = (text(client.get("id")), text(client.get("mode")));
    let role = text(params.get("role"));
    if [&id, &mode, &role].iter().any(|name| MACHINES.contains(&name.as_str())) {
        return Err(refuse(close::POLICY, "only operators may connect here, not nodes or workers"));
    }
    if mode == "webchat" || BROWSER_IDS.contains(&id.as_str()) {
        LINK_CLIENT.id.clone_into(&mut id);
        "ui".clone_into(&mut mode);
    }
    let info = ClientInfo { id: &id, mode: &mode, platform: LINK_CLIENT.platform, device_family: "" };
    client.insert("id".to_owned(), id.as_str().into());
    client.insert("mode".to_owned(), mode.as_str().into());
    client.insert("platform".to_owned(), info.platform.into());

    let mut rewritten = keep(params, PARAMS_KEPT);
    rewritten.insert("client".to_owned(), client.into());
    for (field, value) in authentication(credential, Secret::Shared(credential.token()), info, challenge) {
        rewritten.insert(field.to_owned(), value);
    }
    Ok(rewritten)
}

fn keep(from: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    from.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !SECRET_KEYS.contains(&name.as_str()));
            fields.values_mut().for_each(remove_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
