//! The commands that talk to a running hub. They are clients of the HTTP API like any other: whatever they do can be done
//! with `curl` and a token. Nothing here may open the hub's store, name a driver or touch an instance's files.

mod agent;
mod chat;
mod client;
mod confirm;
mod create;
mod doctor;
mod documents;
mod events;
mod failure;
mod instances;
mod job;
mod lifecycle;
mod logs;
mod open;
mod output;
mod provider;
mod remove;
mod secret;
mod selector;
mod setup;
mod sse;
mod token;
mod version;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use self::{client::Client, failure::Failure, output::Format, selector::Selector};

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Globals {
    /// Where the hub keeps its data [default: ~/.reef]
    #[arg(long, global = true, env = "REEF_DATA_DIR", value_name = "DIR", help_heading = "Global options")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Address of a hub elsewhere; the token is read from REEF_TOKEN
    #[arg(long, global = true, env = "REEF_URL", value_name = "URL", help_heading = "Global options")]
    pub(crate) url: Option<String>,

    /// How to print what was read
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Global options"
    )]
    pub(crate) output: Format,
}

impl Globals {
    /// The data directory that was named, or `~/.reef`; none when there is no home directory either.
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone().or_else(|| std::env::home_dir().map(|home| home.join(".reef")))
    }
}

/// Commands of the client.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an instance and wait until it is ready
    Create(create::CreateArgs),
    /// List the instances
    Ls,
    /// Show one instance
    Show {
        /// Name or id
        name: Selector,
    },
    /// Start an instance and wait until it is ready
    Start(lifecycle::LifecycleArgs),
    /// Stop an instance; its data stays
    Stop(lifecycle::LifecycleArgs),
    /// Stop an instance and start it again
    Restart(lifecycle::LifecycleArgs),
    /// Remove an instance and its data
    Rm(remove::RemoveArgs),
    /// Print what an instance wrote
    Logs(logs::LogsArgs),
    /// Talk to an agent
    Chat(chat::ChatArgs),
    /// Open an instance's page in the browser
    Open {
        /// Name or id
        name: Selector,
    },
    /// Follow what happens in the hub
    Events,
    /// Check this machine and the hub
    Doctor,
    /// Manage installed agent versions
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Manage language-model providers
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Manage API tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make the first owner, without a browser
    Setup(setup::SetupArgs),
    /// Print the version of this program and of the hub
    Version,
    /// Print the OpenAPI document
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What the commands need to know of the program that they are part of.
#[derive(Debug)]
pub(crate) struct Program {
    /// The whole command line, for completions and the manual.
    pub(crate) command: clap::Command,
    /// Renders the OpenAPI document as JSON text.
    pub(crate) openapi: fn() -> String,
}

/// Runs one command to its end. Results go to stdout, everything else to stderr; the exit code is one of
/// [`failure::Exit`].
pub(crate) fn run(command: Command, globals: &Globals, program: Program) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Failed(format!("cannot start: {source}")))
        .and_then(|runtime| runtime.block_on(dispatch(command, globals, program)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit().into()
        }
    }
}

async fn dispatch(command: Command, globals: &Globals, program: Program) -> Result<(), Failure> {
    match command {
        Command::Openapi => return documents::openapi(&program),
        Command::Completions { shell } => return documents::completions(program, shell),
        Command::Man => return documents::man(program),
        Command::Version => return version::run(globals).await,
        Command::Doctor => return doctor::run(globals).await,
        _ => {}
    }
    let client = Client::new(globals)?;
    let format = globals.output;
    match command {
        Command::Create(args) => create::run(&client, format, args).await,
        Command::Ls => instances::list(&client, format).await,
        Command::Show { name } => instances::show(&client, format, &name).await,
        Command::Start(args) => lifecycle::run(&client, format, lifecycle::Verb::Start, args).await,
        Command::Stop(args) => lifecycle::run(&client, format, lifecycle::Verb::Stop, args).await,
        Command::Restart(args) => lifecycle::run(&client, format, lifecycle::Verb::Restart, args).await,
        Command::Rm(args) => remove::run(&client, args).await,
        Command::Logs(args) => logs::run(&client, format, args).await,
        Command::Chat(args) => chat::run(&client, args).await,
        Command::Open { name } => open::run(&client, &name).await,
        Command::Events => events::run(&client, format).await,
        Command::Agent(command) => agent::run(&client, format, command).await,
        Command::Provider(command) => provider::run(&client, format, command).await,
        Command::Token(command) => token::run(&client, format, command).await,
        Command::Setup(args) => setup::run(&client, format, args).await,
        Command::Openapi | Command::Completions { .. } | Command::Man | Command::Version | Command::Doctor => {
            unreachable!("handled above: these need no hub")
        }
    }
}
