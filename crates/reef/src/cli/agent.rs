//! `reef agent`: the versions that are installed on this machine.

use clap::Subcommand;
use http::Method;
use reef_types::{Job, quantity};
use serde::Deserialize;
use serde_json::json;

use super::{
    client::{self, Call, Client, encode},
    failure::Failure,
    job::Follower,
    output::{self, Format},
};

/// Subcommands of `reef agent`.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List what can be and what is installed
    Versions,
    /// Install a version; without one, the default
    Install {
        /// For example `openclaw` or `openclaw@2026.9.6`
        #[arg(value_name = "KIND[@VERSION]")]
        agent: String,
        /// Return as soon as the hub accepted it
        #[arg(long)]
        no_wait: bool,
    },
    /// Remove a version that no instance uses
    Remove {
        /// For example `openclaw@2026.9.6`
        #[arg(value_name = "KIND@VERSION")]
        agent: String,
    },
}

#[derive(Deserialize)]
struct Agents {
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    default_version: String,
    tested_versions: Vec<String>,
    installed: Vec<Installed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    kind: String,
    version: String,
    size_bytes: u64,
    installed_at: String,
}

pub(crate) async fn run(client: &Client, format: Format, command: AgentCommand) -> Result<(), Failure> {
    match command {
        AgentCommand::Versions => versions(client, format).await,
        AgentCommand::Install { agent, no_wait } => install(client, &agent, no_wait).await,
        AgentCommand::Remove { agent } => remove(client, &agent).await,
    }
}

/// Splits `KIND[@VERSION]` and asks the hub for the version that was not named.
async fn resolve(client: &Client, agent: &str) -> Result<(String, String), Failure> {
    if let Some((kind, version)) = agent.split_once('@') {
        return Ok((kind.to_owned(), version.to_owned()));
    }
    let Agents { kinds } = client::read(client.get("/api/agents").await?)?;
    match kinds.into_iter().find(|kind| kind.kind == agent) {
        Some(kind) => Ok((kind.kind, kind.default_version)),
        None => Err(Failure::Usage(format!("this hub knows no agent `{agent}`: see `reef agent versions`"))),
    }
}

async fn versions(client: &Client, format: Format) -> Result<(), Failure> {
    let document = client.get("/api/agents").await?;
    output::document(format, &document, || {
        let Agents { kinds } = client::read(document.clone())?;
        let mut rows = Vec::new();
        for kind in kinds {
            let note = |version: &str| if version == kind.default_version { "default" } else { "" }.to_owned();
            for installed in &kind.installed {
                rows.push([
                    installed.kind.clone(),
                    installed.version.clone(),
                    quantity::format_bytes(installed.size_bytes),
                    installed.installed_at.clone(),
                    if installed.kind == kind.kind { note(&installed.version) } else { String::new() },
                ]);
            }
            for version in &kind.tested_versions {
                if kind.installed.iter().all(|i| i.kind != kind.kind || &i.version != version) {
                    let row = [kind.kind.clone(), version.clone(), "-".into(), "not installed".into(), note(version)];
                    rows.push(row);
                }
            }
        }
        Ok(output::table(["AGENT", "VERSION", "SIZE", "INSTALLED", ""], rows))
    })
}

async fn install(client: &Client, agent: &str, no_wait: bool) -> Result<(), Failure> {
    let (kind, version) = resolve(client, agent).await?;
    let follower = if no_wait { None } else { Some(Follower::open(client).await?) };
    let call =
        Call::new(Method::POST, format!("/api/agents/{}/versions", encode(&kind))).body(json!({ "version": version }));
    let reply = client.send(call).await?;
    match (follower, reply.member::<Option<Job>>("job")?) {
        (Some(follower), Some(job)) => {
            follower.settle(job).await?;
        }
        (None, Some(_)) => return output::print(&format!("{kind} {version} is being installed\n")),
        (_, None) => {}
    }
    output::print(&format!("{kind} {version} is installed\n"))
}

async fn remove(client: &Client, agent: &str) -> Result<(), Failure> {
    let Some((kind, version)) = agent.split_once('@') else {
        return Err(Failure::Usage("say which version: KIND@VERSION".to_owned()));
    };
    let path = format!("/api/agents/{}/versions/{}", encode(kind), encode(version));
    client.send(Call::new(Method::DELETE, path)).await?;
    output::print(&format!("{kind} {version} is removed\n"))
}
