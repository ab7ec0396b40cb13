//! The program: which command is meant. What a command does is elsewhere.

mod cli;

use std::process::ExitCode;

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
    #[command(flatten)]
    Client(cli::Command),
}

fn main() -> ExitCode {
    let Cli { globals, command: Command::Client(command) } = Cli::parse();
    cli::run(command, &globals, cli::Program { command: Cli::command(), openapi: || "{}".to_owned() })
}
