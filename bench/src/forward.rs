//! What the hub adds to a request and takes from a stream, beside nginx on the same upstream, and without either.
//!
//! All run at the same time, and rounds alternate between them: a machine that gets slower does so for all.

use std::{cell::RefCell, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    hub::Reef,
    load::{self, Outcome, Target, Work},
    machine::{self, Side},
    nginx, table,
    world::World,
};

const SCENARIOS: [(&str, Work); 5] = [
    ("small GET, 64 connections", Work::Get { connections: 64 }),
    ("small GET, one at a time", Work::Get { connections: 1 }),
    ("WebSocket round trip of 200 B, 16 connections", Work::RoundTrip { connections: 16, bytes: 200 }),
    ("WebSocket round trip of 200 B, one at a time", Work::RoundTrip { connections: 1, bytes: 200 }),
    ("WebSocket stream of 64 KiB frames, 4 connections", Work::Stream { connections: 4 }),
];

/// How long and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct ForwardArgs {
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of each measurement, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Leave nginx out, for a machine that has none
    #[arg(long)]
    without_nginx: bool,
}

/// One of those that are compared.
struct Contender {
    name: &'static str,
    target: Target,
    /// None for the upstream itself.
    pid: Option<u32>,
}

/// One measurement.
#[derive(Clone, Copy)]
struct Run {
    outcome: Outcome,
    /// CPU of the one in front, for each request, in microseconds.
    cpu_us: f64,
}

pub(crate) fn run(program: &Path, args: &ForwardArgs) -> Result<()> {
    let dir = tempfile::tempdir()?;
    machine::pin(Side::Load)?;
    let world = World::start(dir.path())?;
    let reef = Reef::new(program, dir.path());
    machine::pin(Side::Measured)?;
    let (hub, hub_addr) = reef.hub()?;
    let nginx = if args.without_nginx { None } else { Some(nginx::start(&dir.path().join("nginx"), world.backend)?) };
    machine::pin(Side::Load)?;

    let token = reef.token()?;
    let ids = reef.create(&["bench".to_owned()])?;
    world.show_backend(*ids.first().context("no instance")?);

    let plain = |addr| Target { addr, http_path: "/small".into(), socket_path: "/".into(), headers: String::new() };
    let mut contenders = vec![Contender { name: "direct", target: plain(world.backend), pid: None }];
    if let Some((process, addr)) = &nginx {
        contenders.push(Contender { name: "nginx", target: plain(*addr), pid: Some(process.pid()) });
    }
    let target = Target {
        addr: hub_addr,
        http_path: "/api/instances/bench/proxy/small".into(),
        socket_path: "/ws?instanceId=bench".into(),
        headers: format!("authorization: Bearer {token}\r\n"),
    };
    contenders.push(Contender { name: "reef", target, pid: Some(hub.pid()) });
    measure(&contenders, args)
}

fn measure(contenders: &[Contender], args: &ForwardArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let length = Duration::from_secs_f64(args.seconds);
    let mut rows = Vec::new();
    for (name, work) in SCENARIOS.iter().filter(|(name, _)| name.contains(&args.only)) {
        let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
        for round in 0..args.rounds {
            for offset in 0..contenders.len() {
                // Everybody is first once.
                let index = (round + offset) % contenders.len();
                let contender = &contenders[index];
                let run = once(&runtime, contender, *work, length)
                    .with_context(|| format!("{} with {}", name, contender.name))?;
                eprintln!(
                    "round {round}: {name}: {}: {:.0}/s, {:.1} µs CPU",
                    contender.name, run.outcome.per_second, run.cpu_us
                );
                runs[index].push(run);
            }
        }
        let nginx = contenders.iter().position(|contender| contender.name == "nginx");
        for (contender, own) in contenders.iter().zip(&runs) {
            let rates: Vec<_> = own.iter().map(|run| run.outcome.per_second).collect();
            let of = |value: fn(&Run) -> f64| table::median(&own.iter().map(value).collect::<Vec<_>>());
            let ratio = |value: fn(&Run) -> f64| {
                nginx.map_or("-".to_owned(), |nginx| {
                    let pairs = own.iter().zip(&runs[nginx]).map(|(own, theirs)| value(own) / value(theirs));
                    format!("{:.2}", table::median(&pairs.collect::<Vec<_>>()))
                })
            };
            rows.push([
                (*name).to_owned(),
                contender.name.to_owned(),
                format!("{:.0}", table::median(&rates)),
                ratio(|run| run.outcome.per_second),
                format!("{:.1}", of(|run| run.cpu_us)),
                ratio(|run| run.cpu_us),
                format!("{:.0}", of(|run| run.outcome.median_us)),
            ]);
        }
    }
    table::print(["what", "through", "per second", "to nginx", "CPU µs each", "CPU to nginx", "median µs"], rows);
    Ok(())
}

fn once(runtime: &tokio::runtime::Runtime, contender: &Contender, work: Work, length: Duration) -> Result<Run> {
    let clock = RefCell::new(Vec::new());
    let outcome = runtime.block_on(load::run(&contender.target, work, length, || {
        clock.borrow_mut().push(contender.pid.and_then(|pid| machine::cpu(pid).ok()).unwrap_or_default());
    }))?;
    let clock = clock.into_inner();
    let used = clock[1].saturating_sub(clock[0]);
    Ok(Run { outcome, cpu_us: used.as_secs_f64() * 1e6 / outcome.count.max(1.0) })
}
