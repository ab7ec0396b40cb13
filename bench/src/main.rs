//! Measures the program from outside: what it costs at rest, what it adds to a request, how long a start takes.
//!
//! It proves nothing and asserts nothing: times are for people to look at, never for tests to fail on.

mod backend;
mod forward;
mod frame;
mod hub;
mod idle;
mod load;
mod machine;
mod nginx;
mod start;
mod table;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask bench", about = "Measure memory and CPU at rest, forwarding, and starts")]
struct Cli {
    /// The program to measure
    #[arg(long, env = "REEF_PROGRAM")]
    program: PathBuf,
    // What `cargo bench` adds to the arguments of every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Memory and CPU of a hub that has nothing to do
    Idle(idle::IdleArgs),
    /// Requests and WebSockets through the hub, beside nginx and without either
    Forward(forward::ForwardArgs),
    /// Starts of a real agent, beside the same one started by hand
    Start(start::StartArgs),
}

fn main() -> ExitCode {
    let Cli { program, what, .. } = Cli::parse();
    let measured = match what {
        What::Idle(args) => idle::run(&program, &args),
        What::Forward(args) => forward::run(&program, &args),
        What::Start(args) => start::run(&program, &args),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("bench: {err:#}");
            ExitCode::FAILURE
        }
    }
}
