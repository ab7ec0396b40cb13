//! What a hub costs that has nothing to do: memory, and CPU over a while.

use std::{path::Path, time::Duration};

use anyhow::Result;

use crate::{
    hub::{self, Reef},
    machine, table,
    world::World,
};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct IdleArgs {
    /// Instances that run meanwhile
    #[arg(long, default_value_t = 10)]
    instances: usize,
    /// Time to come to rest before, in seconds
    #[arg(long, default_value_t = 30)]
    settle: u64,
    /// Time that is measured, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn run(program: &Path, args: &IdleArgs) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let _world = World::start(dir.path())?;
    let reef = Reef::new(program, dir.path());
    let (hub, _) = reef.hub()?;
    let mut rows = Vec::new();
    let mut measure = |instances: usize| -> Result<()> {
        hub::rest(Duration::from_secs(args.settle));
        let (memory, before) = (machine::memory(hub.pid())?, machine::cpu(hub.pid())?);
        hub::rest(Duration::from_secs(args.seconds));
        let used = machine::cpu(hub.pid())? - before;
        let share = used.as_secs_f64() / args.seconds as f64 * 100.0;
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        let after = machine::memory(hub.pid())?;
        rows.push([
            instances.to_string(),
            mib(after.resident.max(memory.resident)),
            mib(after.anonymous),
            mib(after.peak),
            machine::threads(hub.pid())?.to_string(),
            format!("{share:.2}"),
        ]);
        Ok(())
    };
    // A sign-in hashes a password, which takes memory for a moment.
    reef.token()?;
    measure(0)?;
    let names: Vec<_> = (0..args.instances).map(|number| format!("idle-{number}")).collect();
    reef.create(&names)?;
    measure(args.instances)?;
    table::print(["instances", "resident MiB", "of it own MiB", "peak MiB", "threads", "CPU % of one core"], rows);
    Ok(())
}
