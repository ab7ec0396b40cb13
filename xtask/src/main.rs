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

use anyhow::{Context, Result, bail};
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
    /// Measure: run what is in bench/
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
    match Node::find(root) {
        Ok(node) if page::is_stale(root)? => page::build(root, &node)?,
        Ok(_) => {}
        Err(reason) => eprintln!("note: the page is not built ({reason:#}); the hub serves a stub that says so"),
    }
    command::run(cargo(root).args(["build", "--package", "reef"]))?;
    let program = command::target_dir(root)?.join("debug/reef");
    // In place of this process, so that signals and the terminal are its own.
    let failure = Command::new(&program).arg("up").args(args).exec();
    Err(failure).with_context(|| format!("cannot start {}", program.display()))
}

fn bench(root: &Path, args: &[String]) -> Result<()> {
    let program = root.join("bench/run");
    if !program.exists() {
        bail!("there is no benchmark yet: bench/run does not exist");
    }
    command::run(cargo(root).args(["build", "--release", "--package", "reef"]))?;
    command::run(Command::new(program).args(args).current_dir(root))
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
