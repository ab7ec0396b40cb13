//! `cargo xtask test` and `cargo xtask ci`: the steps, in the order in which they find mistakes soonest.

use std::{env, path::Path, process::ExitCode};

use anyhow::{Result, bail};
use cargo_metadata::{MetadataCommand, TargetKind};

use crate::{
    agent,
    command::{self, cargo},
    node::Node,
    openapi, packages, page,
    report::{Outcome, Report},
};

/// The feature behind which tests of the real agent are kept: they download it.
const REAL: &str = "real";

/// Steps of the page, and the scripts of its package.json that they run.
const PAGE_CHECKS: [(&str, &str); 3] = [("page-lint", "lint"), ("page-types", "typecheck"), ("page-test", "test")];

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Test,
    Ci,
}

/// Runs all steps, or the wanted ones.
///
/// # Errors
/// None of a step: those are in the report and in the exit code.
pub(crate) fn run(root: &Path, wanted: &[String], extent: Extent) -> Result<ExitCode> {
    let strict = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let mut report = Report::new(wanted, strict);
    report.step("packages", || done(packages::install()));
    report.step("format", || done(command::run(cargo(root).args(["fmt", "--all", "--check"]))));
    report.step("lint", || {
        let lint = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
        done(command::run(cargo(root).args(lint)))
    });
    if extent == Extent::Ci {
        report.step("dependencies", || dependencies(root));
    }
    report.step("rust", || done(command::run(cargo(root).args(["test", "--workspace"]))));
    report.step("openapi", || done(openapi::check(root)));
    report.step("agent", || done(agent::install(root)));
    report.step("real", || done(real(root)));
    for (name, script) in PAGE_CHECKS {
        report.step(name, || with_node(root, |root, node| page::script(root, node, script)));
    }
    report.step("page-build", || with_node(root, page::build));
    report.step("browser", || with_node(root, browser));
    Ok(report.finish())
}

fn done(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn with_node(root: &Path, step: impl FnOnce(&Path, &Node) -> Result<()>) -> Result<Outcome> {
    match Node::find(root) {
        Ok(node) => done(step(root, &node)),
        Err(reason) => Ok(Outcome::Skipped(format!("{reason:#}"))),
    }
}

fn dependencies(root: &Path) -> Result<Outcome> {
    if command::which("cargo-deny").is_none() {
        // Not a failure in CI either: the bans that matter are in the repository's own tests.
        eprintln!("cargo-deny is not installed: only the repository's own rules are checked");
        return Ok(Outcome::Passed);
    }
    done(command::run(cargo(root).args(["deny", "check"])))
}

/// The tests that need the real agent.
fn real(root: &Path) -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let mut tests: Vec<(String, String)> = Vec::new();
    for package in &metadata.packages {
        let real = |target: &&cargo_metadata::Target| {
            target.kind.contains(&TargetKind::Test) && target.required_features.iter().any(|feature| feature == REAL)
        };
        tests.extend(package.targets.iter().filter(real).map(|test| (package.name.to_string(), test.name.clone())));
    }
    if tests.is_empty() {
        bail!("no test of the real agent is there: none has `required-features = [\"{REAL}\"]`");
    }
    for (package, test) in tests {
        let args = ["test", "--package", &package, "--features", REAL, "--test", &test];
        command::run(cargo(root).args(args).env("REEF_TEST_VERSIONS", agent::versions_dir(root)))?;
    }
    Ok(())
}

/// The page in a real browser, against the real program.
fn browser(root: &Path, node: &Node) -> Result<()> {
    let e2e = root.join("e2e");
    if !e2e.join("package.json").exists() {
        bail!("there are no browser specs: e2e/package.json does not exist");
    }
    let Some(browser) = packages::BROWSERS.iter().find_map(|name| command::which(name)) else {
        bail!("there is no browser; the step `packages` installs one");
    };
    command::run(cargo(root).args(["build", "--package", "reef"]))?;
    node.install(&e2e)?;
    command::run(
        node.npm(&e2e)
            .args(["test"])
            .env("REEF_BIN", command::target_dir(root)?.join("debug/reef"))
            .env("REEF_TEST_VERSIONS", agent::versions_dir(root))
            .env("REEF_BROWSER", browser),
    )
}
