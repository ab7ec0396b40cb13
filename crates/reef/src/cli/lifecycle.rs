//! `reef start`, `reef stop` and `reef restart`.

use clap::Args;
use http::Method;
use reef_types::Job;
use serde_json::Value;
use uuid::Uuid;

use super::{
    client::{Call, Client},
    create::hint,
    failure::Failure,
    job::Follower,
    output::{self, Format},
    selector::Selector,
};

/// Which instance, and whether to wait.
#[derive(Debug, Args)]
pub(crate) struct LifecycleArgs {
    /// Name or id
    name: Selector,
    /// Return as soon as the hub accepted it
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    fn path(self) -> &'static str {
        match self {
            Verb::Start => "/start",
            Verb::Stop => "/stop",
            Verb::Restart => "/restart",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Verb::Start | Verb::Restart => "ready",
            Verb::Stop => "stopped",
        }
    }
}

pub(crate) async fn run(client: &Client, format: Format, verb: Verb, args: LifecycleArgs) -> Result<(), Failure> {
    let name = &args.name;
    let follower = if args.no_wait { None } else { Some(Follower::open(client).await?) };
    let call = Call::new(Method::POST, name.path(verb.path())).header("idempotency-key", Uuid::now_v7().to_string());
    let reply = client.send(call).await?;
    // Without a job there was nothing to do: the state is idempotent.
    let job = reply.member::<Option<Job>>("job")?;
    let waited = match (follower, job) {
        (Some(follower), Some(job)) => {
            follower
                .settle(job)
                .await
                .map_err(|failure| hint(failure, &format!("`reef logs {name}` may tell more")))?;
            true
        }
        (_, job) => job.is_none(),
    };
    let instance = if waited { client.get(&name.path("")).await? } else { member(reply.body, "instance") };
    output::document(format, &instance, || {
        Ok(match waited {
            true => format!("{name} is {}\n", verb.outcome()),
            false => format!("the hub is at it: reef show {name}\n"),
        })
    })
}

fn member(mut body: Value, name: &str) -> Value {
    body.get_mut(name).map_or(Value::Null, Value::take)
}
