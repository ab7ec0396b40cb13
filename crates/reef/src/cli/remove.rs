//! `reef rm`.

use clap::Args;
use http::Method;
use reef_types::Job;

use super::{
    client::{Call, Client},
    confirm::confirm,
    failure::Failure,
    job::Follower,
    output,
    selector::Selector,
};

/// Which instance, and what of it.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name or id
    name: Selector,
    /// Keep its state and workspace on disk
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Return as soon as the hub accepted it
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(client: &Client, args: RemoveArgs) -> Result<(), Failure> {
    let name = &args.name;
    let what = if args.keep_data { "; its data stays on disk" } else { " with its state, workspace and history" };
    if !args.yes && !confirm(&format!("Remove {name}{what}?"))? {
        return Err(Failure::Failed("nothing was removed".to_owned()));
    }
    let follower = if args.no_wait { None } else { Some(Follower::open(client).await?) };
    let data = if args.keep_data { "keep" } else { "delete" };
    let reply = client.send(Call::new(Method::DELETE, name.path(&format!("?data={data}")))).await?;
    match (follower, reply.member::<Option<Job>>("job")?) {
        (Some(follower), Some(job)) => {
            // It says exactly what was removed and what was kept.
            let report = follower.settle(job).await?.message;
            let report = report.map(|report| format!("{report}\n")).unwrap_or_default();
            return output::print(&format!("{name} is gone\n{}", output::printable(&report)));
        }
        (None, Some(_)) => return output::print(&format!("{name} is being removed\n")),
        (_, None) => {}
    }
    output::print(&format!("{name} is gone\n"))
}
