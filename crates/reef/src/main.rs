//! The program: which command is meant. What a command does is elsewhere; this crate alone names concrete drivers, agents
//! and the store together.

mod cli;
mod descriptors;
mod hub;
mod logging;
mod node;
mod paths;
mod runtime;
mod signals;
mod tls;
mod up;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "reef", version, about = "One place to run many isolated AI agents")]
struct Cli {
    #[command(flatten)]
    globals: cli::Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub and the node of this machine
    Up(up::UpArgs),
    /// Stop what `reef up` runs; instances go on
    Down,
    #[command(flatten)]
    Client(cli::Command),
    /// The hub alone; `reef up` starts it
    #[command(name = "__hub", hide = true)]
    Hub(hub::HubArgs),
    /// The node alone; `reef up` starts it
    #[command(name = "__node", hide = true)]
    Node(signals::Supervisor),
}

/// The name under which the node executes this program as an instance's shim.
const SHIM: &str = "__shim";

fn main() -> ExitCode {
    // Before anything else: the shim must be single-threaded, and needs nothing of all this.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == SHIM) {
        return reef_sandbox::shim::main();
    }
    let Cli { globals, command } = Cli::parse();
    let server = match command {
        Command::Client(command) => {
            return cli::run(command, &globals, cli::Program { command: Cli::command(), openapi: openapi_json });
        }
        Command::Up(args) => data_dir(&globals).and_then(|dir| up::run(&dir, &args)),
        Command::Down => data_dir(&globals).and_then(|dir| up::down(&dir)),
        Command::Hub(args) => data_dir(&globals).and_then(|dir| hub::run(&dir, &args)),
        Command::Node(supervisor) => data_dir(&globals).and_then(|dir| node::run(&dir, supervisor)),
    };
    match server {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            complain(&err);
            ExitCode::FAILURE
        }
    }
}

fn data_dir(globals: &cli::Globals) -> anyhow::Result<PathBuf> {
    globals.data_dir().ok_or_else(|| anyhow::anyhow!("there is no home directory; name a folder with --data-dir"))
}

fn openapi_json() -> String {
    reef_server::openapi().to_pretty_json().unwrap_or_default()
}

#[expect(clippy::print_stderr, reason = "the last words of a command line program")]
fn complain(err: &anyhow::Error) {
    eprintln!("reef: {err:#}");
}
