//! The hub's part of `openclaw.json`: what wins against the instance's own configuration, and what loses against it.
//!
//! Built as values, never as text, so that no name or label can break out. No secret is in it: see [`super::secrets`].

use reef_driver::{
    agent::{Dialect, ModelInfo},
    sandbox_paths,
};
use serde_json::{Map, Value, json};

use super::{BROKER_KEY, GATEWAY_ORIGIN, GATEWAY_PORT, secret_path};

/// Provider ids in OpenClaw's model references: `reef/<model>`, `reef-anthropic/<model>`.
const PROVIDER_OPENAI: &str = "reef";
const PROVIDER_ANTHROPIC: &str = "reef-anthropic";

/// Name of the entry in `secrets.providers` that the model providers refer to.
const SECRET_PROVIDER: &str = "reef-broker-key";

/// What a new instance starts with and may change: it spends nothing while nobody talks to it.
pub(super) fn defaults() -> Value {
    json!({
        "agents": { "defaults": {
            // The first message gets an answer instead of an interview about names and moods.
            "skipBootstrap": true,
            "heartbeat": { "every": "0m" },
        } },
        // Four model calls each night.
        "plugins": { "entries": { "memory-core": { "config": { "dreaming": { "enabled": false } } } } },
        // A model call after long turns, and one each week.
        "skills": { "workshop": { "autonomous": { "mode": "off" } } },
    })
}

/// What holds at each start, whatever the instance's own configuration says. `null` removes a key.
pub(super) fn enforced(broker_port: u16, models: &[ModelInfo], primary: Option<&ModelInfo>) -> Value {
    let mut config = json!({
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "port": GATEWAY_PORT,
            // The password itself comes from a file that is named on the command line.
            "auth": { "mode": "password", "token": null, "password": null },
            "controlUi": { "enabled": true, "basePath": null, "allowedOrigins": [GATEWAY_ORIGIN] },
            "terminal": { "enabled": false },
            "tailscale": { "mode": "off" },
            "trustedProxies": null,
        },
        // The default is a file in /tmp.
        "logging": { "file": format!("{}/logs/gateway.log", sandbox_paths::STATE) },
        "update": { "checkOnStart": false, "auto": { "enabled": false } },
        "telemetry": { "enabled": false },
        "discovery": { "mdns": { "mode": "off" } },
        "secrets": { "providers": {
            SECRET_PROVIDER: { "source": "file", "path": secret_path(BROKER_KEY), "mode": "singleValue" },
        } },
        "agents": { "defaults": { "workspace": sandbox_paths::WORKSPACE } },
        "models": {
            "mode": "replace",
            "catalogRefresh": { "enabled": false },
            "providers": {
                // The OpenAI client wants the version in the base address, the Anthropic client adds it.
                PROVIDER_OPENAI: provider(Dialect::OpenAiChat, format!("http://127.0.0.1:{broker_port}/v1"), models),
                PROVIDER_ANTHROPIC: provider(Dialect::AnthropicMessages, format!("http://127.0.0.1:{broker_port}"), models),
            },
        },
    });
    if let Some(model) = primary {
        config["agents"]["defaults"]["model"] = json!({ "primary": reference(model) });
    }
    config
}

/// How OpenClaw names a model of the broker.
fn reference(model: &ModelInfo) -> String {
    let provider = match model.dialect {
        Dialect::OpenAiChat => PROVIDER_OPENAI,
        Dialect::AnthropicMessages => PROVIDER_ANTHROPIC,
    };
    format!("{provider}/{}", model.id)
}

fn provider(dialect: Dialect, base_url: String, models: &[ModelInfo]) -> Value {
    let offered: Vec<Value> = models.iter().filter(|model| model.dialect == dialect).map(entry).collect();
    if offered.is_empty() {
        return Value::Null;
    }
    let api = match dialect {
        Dialect::OpenAiChat => "openai-completions",
        Dialect::AnthropicMessages => "anthropic-messages",
    };
    json!({
        "baseUrl": base_url,
        "api": api,
        "apiKey": { "source": "file", "provider": SECRET_PROVIDER, "id": "value" },
        "models": offered,
    })
}

fn entry(model: &ModelInfo) -> Value {
    // The broker meters; prices here would be a second, older truth.
    let free: Map<String, Value> =
        ["input", "output", "cacheRead", "cacheWrite"].map(|kind| (kind.to_owned(), json!(0))).into_iter().collect();
    json!({
        "id": model.id,
        "name": model.name,
        "reasoning": false,
        "input": ["text"],
        "cost": free,
        "contextWindow": model.context_tokens,
        "maxTokens": model.output_tokens_max,
    })
}
