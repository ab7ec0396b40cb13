//! `reef token`: API tokens. The secret of a new one is printed once, alone on stdout, so that a script can catch it.

use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::{self, Call, Client, encode},
    failure::Failure,
    output::{self, Format},
};

/// Subcommands of `reef token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it once
    Create {
        /// What it is for
        name: String,
        /// What it may do: all, read, chat; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", default_value = "all")]
        scopes: Vec<String>,
    },
    /// List the tokens, without their secrets
    Ls,
    /// Withdraw a token
    Rm {
        /// Its id, as in `reef token ls`
        id: reef_types::TokenId,
    },
}

pub(crate) async fn run(client: &Client, format: Format, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { name, scopes } => {
            let body = json!({ "name": name, "scopes": scopes });
            let reply = client.send(Call::new(Method::POST, "/api/tokens").body(body)).await?;
            output::document(format, &reply.body, || Ok(format!("{}\n", reply.member::<String>("secret")?)))?;
            eprintln!("Keep it safe: it cannot be shown again.");
            Ok(())
        }
        TokenCommand::Ls => list(client, format).await,
        TokenCommand::Rm { id } => {
            client.send(Call::new(Method::DELETE, format!("/api/tokens/{}", encode(&id.to_string())))).await?;
            output::print(&format!("{id} is withdrawn\n"))
        }
    }
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Token>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Token {
        id: String,
        name: String,
        scopes: Vec<String>,
        created_at: String,
        #[serde(default)]
        last_used_at: Option<String>,
    }
    // The list stands alone or under the key `items`.
    let document = match client.get("/api/tokens").await? {
        Value::Array(items) => json!({ "items": items }),
        document => document,
    };
    output::document(format, &document, || {
        let List { items } = client::read(document.clone())?;
        let rows = items.into_iter().map(|token| {
            let used = token.last_used_at.unwrap_or_else(|| "never".to_owned());
            [token.id, token.name, token.scopes.join(" "), token.created_at, used]
        });
        Ok(output::table(["ID", "NAME", "SCOPES", "CREATED", "LAST USED"], rows))
    })
}
