//! `reef provider`: where the hub gets its models from. A key is read from stdin and never shown again.

use clap::{Subcommand, ValueEnum};
use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::{
    client::{self, Call, Client, encode},
    failure::Failure,
    output::{self, Format},
    secret,
};

/// Subcommands of `reef provider`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the providers and their models
    Ls,
    /// Add a provider; its key is read from stdin
    Add {
        /// Name, the first part of a model's name
        name: String,
        /// Which protocol it speaks
        #[arg(long, value_enum)]
        kind: Kind,
        /// Address of its API
        #[arg(long, value_name = "URL")]
        base_url: String,
        /// Model that it offers; may be repeated
        #[arg(long = "model", required = true, value_name = "ID")]
        models: Vec<String>,
    },
    /// Remove a provider and its key
    Rm {
        /// Its name
        name: String,
    },
}

/// Protocols of providers.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// OpenAI's, and the many that are compatible
    Openai,
    /// Anthropic's
    Anthropic,
}

pub(crate) async fn run(client: &Client, format: Format, command: ProviderCommand) -> Result<(), Failure> {
    match command {
        ProviderCommand::Ls => list(client, format).await,
        ProviderCommand::Add { name, kind, base_url, models } => {
            let kind = match kind {
                Kind::Openai => "openai",
                Kind::Anthropic => "anthropic",
            };
            let key = secret::read("API key")?;
            let body = json!({
                "name": name, "kind": kind, "baseUrl": base_url, "models": models, "apiKey": key.expose_secret(),
            });
            client.send(Call::new(Method::POST, "/api/providers").body(body)).await?;
            output::print(&format!("{name} is added: reef create NAME --model {name}/{}\n", models[0]))
        }
        ProviderCommand::Rm { name } => {
            client.send(Call::new(Method::DELETE, format!("/api/providers/{}", encode(&name)))).await?;
            output::print(&format!("{name} is removed\n"))
        }
    }
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Provider>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Provider {
        name: String,
        kind: String,
        base_url: Option<String>,
        models: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let document = client.get("/api/providers").await?;
    output::document(format, &document, || {
        let List { items } = client::read(document.clone())?;
        let rows = items.into_iter().map(|provider| {
            let models: Vec<_> = provider.models.into_iter().map(|model| model.id).collect();
            [provider.name, provider.kind, provider.base_url.unwrap_or_default(), models.join(", ")]
        });
        Ok(output::table(["NAME", "KIND", "BASE URL", "MODELS"], rows))
    })
}
