//! Turns what is wanted of one instance into what a driver runs: program, environment, files, secrets.
//!
//! Pure: same input, same output; no IO, no clock, no randomness. Secrets go into secret files only, never into argv, the
//! environment or the configuration: the agent's tools can read all three.

mod config;

use std::collections::BTreeMap;

use reef_driver::{AgentError, RenderInput, SecretFile, Workload, WorkloadFile, agent::ModelInfo, sandbox_paths};
use reef_types::Egress;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::version;

/// The gateway's port on the instance's loopback. The same for all: each instance has its own loopback.
pub const GATEWAY_PORT: u16 = 18789;

/// The one `Origin` that the gateway accepts; whoever forwards a browser's connection to it must send this one.
pub const GATEWAY_ORIGIN: &str = "http://127.0.0.1:18789";

/// Secret file with the gateway's shared secret.
const GATEWAY_TOKEN: &str = "gateway-token";
/// Secret file with the instance's key for the model broker.
const BROKER_KEY: &str = "broker-key";

/// The program that merges the configuration and then becomes OpenClaw.
const START_SCRIPT: &str = include_str!("render/start.mjs");

/// Renders one instance of OpenClaw. `token` is the shared secret that the hub will present to the gateway.
///
/// The model is the spec's, or else the first of `models`.
///
/// # Errors
/// `Invalid` when the version cannot be run, the model is not offered, or ports and secrets contradict each other.
pub fn render(input: &RenderInput<'_>, token: &SecretString) -> Result<Workload, AgentError> {
    let spec = input.spec;
    let runtime = version::runtime_of(&spec.agent.version).map_err(|err| AgentError::Invalid(err.to_string()))?;
    let egress_port = egress_port(input)?;
    let primary = primary_model(input)?;

    let node = format!("{}/node/{}/bin", sandbox_paths::VERSIONS, runtime.node);
    let package = format!("{}/openclaw/{}/node_modules/openclaw", sandbox_paths::VERSIONS, spec.agent.version);
    let start = json!({
        "entry": format!("{package}/openclaw.mjs"),
        "defaults": config::defaults(),
        "enforced": config::enforced(input.broker_port, input.models, primary),
    });

    Ok(Workload {
        id: spec.id,
        name: spec.name.clone(),
        generation: spec.generation,
        argv: argv(&node),
        env: environment(&node, egress_port),
        cwd: sandbox_paths::WORKSPACE.to_owned(),
        versions: vec![
            ("node".to_owned(), runtime.node.to_owned()),
            ("openclaw".to_owned(), spec.agent.version.clone()),
        ],
        files: vec![owned_file("start.mjs", START_SCRIPT.to_owned()), owned_file("start.json", format!("{start:#}\n"))],
        secrets: secrets(token, input.broker_key)?,
        resources: spec.resources,
        egress: spec.egress,
        doors: [Some(input.broker_port), egress_port].into_iter().flatten().collect(),
    })
}

/// The secret is given as a password file, not as a reference in the configuration: a reference is resolved again at each
/// change of the configuration and at each restart of the gateway within its process, and both fail once the file is
/// gone. The command line is read once. The gateway takes the secret as `token` or as `password` alike.
fn argv(node: &str) -> Vec<String> {
    let script = owned_path("start.mjs");
    let secret = secret_path(GATEWAY_TOKEN);
    [&format!("{node}/node"), &script, "gateway", "run", "--auth", "password", "--password-file", &secret]
        .map(str::to_owned)
        .to_vec()
}

fn environment(node: &str, egress_port: Option<u16>) -> BTreeMap<String, String> {
    let config = format!("{}/openclaw.json", sandbox_paths::STATE);
    let path = format!("{node}:/usr/local/bin:/usr/bin:/bin");
    let mut env = vec![
        ("HOME", sandbox_paths::HOME.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("NO_COLOR", "1".to_owned()),
        ("OPENCLAW_CONFIG_PATH", config),
        ("OPENCLAW_DISABLE_BONJOUR", "1".to_owned()),
        ("OPENCLAW_HOME", sandbox_paths::HOME.to_owned()),
        ("OPENCLAW_NO_AUTO_UPDATE", "1".to_owned()),
        // A restart that the gateway asks of itself stays within its process: the driver watches that process.
        ("OPENCLAW_NO_RESPAWN", "1".to_owned()),
        ("OPENCLAW_OFFLINE", "1".to_owned()),
        ("OPENCLAW_STATE_DIR", sandbox_paths::STATE.to_owned()),
        ("PATH", path),
        ("TMPDIR", sandbox_paths::TMP.to_owned()),
        ("TZ", "UTC".to_owned()),
        ("USER", "agent".to_owned()),
    ];
    if let Some(port) = egress_port {
        let proxy = format!("http://127.0.0.1:{port}");
        // Both spellings: curl reads only the lower-case `http_proxy`, others only the upper-case names.
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
        env.extend(names.map(|name| (name, proxy.clone())));
        env.extend(["NO_PROXY", "no_proxy"].map(|name| (name, "127.0.0.1,localhost,::1".to_owned())));
        env.push(("NODE_USE_ENV_PROXY", "1".to_owned()));
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn secrets(token: &SecretString, broker_key: &SecretString) -> Result<Vec<SecretFile>, AgentError> {
    let file = |name: &str, secret: &SecretString, start_only| {
        let value = secret.expose_secret();
        // OpenClaw strips line ends, so that anything else would be a different secret on each side.
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AgentError::Invalid(format!("the secret for {name} is empty or not printable ASCII")));
        }
        Ok(SecretFile { name: name.to_owned(), value: value.to_owned(), start_only })
    };
    // The key is read again at each restart of the gateway within its process, so that it must stay.
    Ok(vec![file(GATEWAY_TOKEN, token, true)?, file(BROKER_KEY, broker_key, false)?])
}

fn egress_port(input: &RenderInput<'_>) -> Result<Option<u16>, AgentError> {
    let invalid = |text: &str| Err(AgentError::Invalid(text.to_owned()));
    let port = match (input.spec.egress, input.egress_port) {
        (Egress::Closed, _) => None,
        (Egress::Open, Some(port)) => Some(port),
        (Egress::Open, None) => return invalid("egress is open, but there is no port for the egress proxy"),
    };
    let mut ports = vec![GATEWAY_PORT, input.broker_port];
    ports.extend(port);
    ports.sort_unstable();
    if ports.contains(&0) || ports.windows(2).any(|pair| pair[0] == pair[1]) {
        return invalid("gateway, model broker and egress proxy need different ports");
    }
    Ok(port)
}

fn primary_model<'a>(input: &RenderInput<'a>) -> Result<Option<&'a ModelInfo>, AgentError> {
    let Some(wanted) = &input.spec.model else { return Ok(input.models.first()) };
    let found = input.models.iter().find(|model| model.id == *wanted);
    let missing = || AgentError::Invalid(format!("the hub does not offer a model `{wanted}`; choose another one"));
    found.map(Some).ok_or_else(missing)
}

fn secret_path(name: &str) -> String {
    format!("{}/{name}", sandbox_paths::SECRETS)
}

/// A file of the hub's own inside the instance's state, written anew at each start.
fn owned_file(name: &str, content: String) -> WorkloadFile {
    WorkloadFile { path: owned_path(name), content, overwrite: true }
}

fn owned_path(name: &str) -> String {
    format!("{}/reef/{name}", sandbox_paths::STATE)
}

#[cfg(test)]
mod tests;
