//! The project's commands, and the only place that holds them: whatever a person or CI runs is `cargo xtask …`. What a
//! command does for the product itself belongs into the product.

mod agent;
mod command;
mod node;
mod openapi;
mod packages;
mod page;
mod report;
mod test;

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::{command::cargo, node::Node};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of this project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and run it: `reef up` in the foreground
    Up {
        /// Further arguments of `reef up`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Install what the tests need and run all of them
    Test {
        /// Only the steps whose names begin with one of these
        steps: Vec<String>,
    },
    /// What CI demands: `test`, and the dependency rules where cargo-deny is installed
    Ci,
    /// Write openapi/reef.json from the code
    Openapi {
        /// Only say whether it is up to date
        #[arg(long)]
        check: bool,
    },
    /// Install the page's packages and build it
    Ui,
    /// Measure: `idle`, `forward` or `start`; see bench/README.md
    Bench {
        /// Further arguments of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build what is shipped, the page included
    Dist,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let root = root();
    match task {
        Task::Up { args } => up(&root, &args)?,
        Task::Test { steps } => return test::run(&root, &steps, test::Extent::Test),
        Task::Ci => return test::run(&root, &[], test::Extent::Ci),
        Task::Openapi { check: true } => openapi::check(&root)?,
        Task::Openapi { check: false } => openapi::write(&root)?,
        Task::Ui => page::build(&root, &Node::find(&root)?)?,
        Task::Bench { args } => bench(&root, &args)?,
        Task::Dist => dist(&root)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn up(root: &Path, args: &[String]) -> Result<()> {
    if page::is_stale(root)? {
        page::build(root, &node_for_page(root, args)?)?;
    }
    command::run(cargo(root).args(["build", "--package", "reef"]))?;
    let program = command::target_dir(root)?.join("debug/reef");
    // In place of this process, so that signals and the terminal are its own.
    let failure = Command::new(&program).arg("up").args(args).exec();
    Err(failure).with_context(|| format!("cannot start {}", program.display()))
}

/// The machine's own Node, or the one that Reef installs for its agents: the first instance needs it anyway.
fn node_for_page(root: &Path, args: &[String]) -> Result<Node> {
    let named = args.iter().position(|arg| arg == "--data-dir").and_then(|at| args.get(at + 1)).map(PathBuf::from);
    let data_dir =
        named.or_else(node::default_data_dir).context("there is no home folder; name one with --data-dir")?;
    Node::find_also_in(root, Some(&data_dir)).or_else(|reason| {
        eprintln!("{reason:#}\nThe page is built with the Node that Reef installs for its agents.");
        agent::install_in(root, &data_dir)?;
        Node::find_also_in(root, Some(&data_dir))
    })
}

fn bench(root: &Path, args: &[String]) -> Result<()> {
    command::run(cargo(root).args(["build", "--release", "--package", "reef"]))?;
    let program = command::target_dir(root)?.join("release/reef");
    command::run(cargo(root).args(["bench", "--package", "reef-bench", "--"]).args(args).env("REEF_PROGRAM", program))
}

fn dist(root: &Path) -> Result<()> {
    page::build(root, &Node::find(root)?)?;
    command::run(cargo(root).args(["build", "--profile", "dist", "--package", "reef"]))?;
    let program = command::target_dir(root)?.join("dist/reef");
    let bytes = program.metadata().with_context(|| format!("{} was not built", program.display()))?.len();
    println!("{} ({:.1} MB)", program.display(), bytes as f64 / 1e6);
    Ok(())
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}
