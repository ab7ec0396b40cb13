//! `reef create`.

use clap::{Args, ValueEnum};
use http::Method;
use reef_types::{Job, quantity};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    client::{Call, Client},
    failure::Failure,
    job::Follower,
    output::{self, Format},
    selector::Selector,
};

/// What an instance is made from. What is not said, the hub decides.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// 1 to 40 of a-z, 0-9 and '-'
    name: reef_types::InstanceName,
    /// Any name, for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What runs it, for example `process`
    #[arg(long)]
    driver: Option<String>,
    /// Which agent, for example `openclaw` or `openclaw@2026.9.6`
    #[arg(long, value_name = "KIND[@VERSION]")]
    agent: Option<String>,
    /// Model as `provider/model`
    #[arg(long)]
    model: Option<String>,
    /// Memory of all its processes together, for example `2g`
    #[arg(long, value_parser = memory)]
    memory: Option<u64>,
    /// Share of the machine's cpus, for example `1.5`
    #[arg(long, value_parser = cpus)]
    cpus: Option<u32>,
    /// Processes and threads
    #[arg(long)]
    pids: Option<u32>,
    /// Where it may connect to, besides its model
    #[arg(long, value_enum)]
    egress: Option<Egress>,
    /// Label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Return as soon as the hub accepted it
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Egress {
    /// Nowhere
    Closed,
    /// Public addresses
    Open,
}

pub(crate) async fn run(client: &Client, format: Format, args: CreateArgs) -> Result<(), Failure> {
    let body = body(&args);
    let follower = if args.no_wait { None } else { Some(Follower::open(client).await?) };
    let call =
        Call::new(Method::POST, "/api/instances").body(body).header("idempotency-key", Uuid::now_v7().to_string());
    let reply = client.send(call).await?;
    let name = &args.name;
    let selector: Selector = name.as_str().parse().map_err(|_| Failure::Usage("not a name".to_owned()))?;
    if let Some(follower) = follower {
        let job: Job = reply.member("job")?;
        follower.settle(job).await.map_err(|failure| {
            hint(failure, &format!("`reef logs {name}` may tell more; `reef rm {name}` removes it"))
        })?;
        let instance = client.get(&selector.path("")).await?;
        return output::document(format, &instance, || Ok(format!("{name} is ready: reef chat {name} \"hello\"\n")));
    }
    output::document(format, &reply.body, || Ok(format!("{name} is being made: reef show {name}\n")))
}

fn body(args: &CreateArgs) -> Value {
    let mut resources = Map::new();
    put(&mut resources, "memoryBytes", args.memory);
    put(&mut resources, "cpusMilli", args.cpus);
    put(&mut resources, "pids", args.pids);

    let mut body = Map::new();
    put(&mut body, "name", Some(args.name.as_str()));
    put(&mut body, "displayName", args.display_name.as_deref());
    put(&mut body, "driver", args.driver.as_deref());
    put(&mut body, "model", args.model.as_deref());
    if let Some(agent) = &args.agent {
        let agent = match agent.split_once('@') {
            Some((kind, version)) => json!({ "kind": kind, "version": version }),
            None => json!({ "kind": agent }),
        };
        body.insert("agent".to_owned(), agent);
    }
    if !resources.is_empty() {
        body.insert("resources".to_owned(), Value::Object(resources));
    }
    if let Some(egress) = args.egress {
        let egress = match egress {
            Egress::Closed => "closed",
            Egress::Open => "open",
        };
        body.insert("egress".to_owned(), json!(egress));
    }
    if !args.labels.is_empty() {
        let labels = args.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        body.insert("labels".to_owned(), Value::Object(labels));
    }
    Value::Object(body)
}

fn put<T: Into<Value>>(map: &mut Map<String, Value>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

/// Adds what to do next to a failure of the job.
pub(crate) fn hint(failure: Failure, hint: &str) -> Failure {
    match failure {
        Failure::Failed(message) => Failure::Failed(format!("{message}\n{hint}")),
        other => other,
    }
}

fn memory(text: &str) -> Result<u64, String> {
    quantity::parse_bytes(text).ok_or_else(|| "a size looks like 512m or 2g".to_owned())
}

fn cpus(text: &str) -> Result<u32, String> {
    quantity::parse_cpus_milli(text).ok_or_else(|| "a number of cpus looks like 2 or 0.5".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label looks like key=value".to_owned()),
    }
}
