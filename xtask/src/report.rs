//! Runs the steps of a check one after the other, all of them, and says at the end how they went.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;

/// How a step ended that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// It could not run here, for this reason.
    Skipped(String),
}

enum Ending {
    Passed,
    Skipped(String),
    Failed(String),
}

/// The steps so far.
pub(crate) struct Report<'a> {
    /// Names must begin with one of these, if there are any.
    wanted: &'a [String],
    /// Nothing may be skipped.
    strict: bool,
    steps: Vec<(&'a str, Ending, Duration)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(wanted: &'a [String], strict: bool) -> Self {
        Self { wanted, strict, steps: Vec::new() }
    }

    /// Runs one step; a failure is kept for the end, so that one run shows all of them.
    pub(crate) fn step(&mut self, name: &'a str, step: impl FnOnce() -> Result<Outcome>) {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            return;
        }
        eprintln!("\n=== {name}");
        let started = Instant::now();
        let ending = match step() {
            Ok(Outcome::Passed) => Ending::Passed,
            Ok(Outcome::Skipped(reason)) if self.strict => Ending::Failed(format!("could not run: {reason}")),
            Ok(Outcome::Skipped(reason)) => Ending::Skipped(reason),
            Err(error) => Ending::Failed(format!("{error:#}")),
        };
        if let Ending::Failed(reason) | Ending::Skipped(reason) = &ending {
            eprintln!("{reason}");
        }
        self.steps.push((name, ending, started.elapsed()));
    }

    /// How many passed, failed and were skipped.
    fn sums(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Ending) -> bool| self.steps.iter().filter(|(_, ending, _)| is(ending)).count();
        (
            count(|ending| matches!(ending, Ending::Passed)),
            count(|ending| matches!(ending, Ending::Failed(_))),
            count(|ending| matches!(ending, Ending::Skipped(_))),
        )
    }

    /// Prints how each step went, and the sum in the last line.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n=== summary");
        let (passed, failed, skipped) = self.sums();
        for (name, ending, took) in &self.steps {
            let (word, reason) = match ending {
                Ending::Passed => ("passed", ""),
                Ending::Skipped(reason) => ("skipped", reason.as_str()),
                Ending::Failed(reason) => ("FAILED", reason.as_str()),
            };
            println!("{word:8} {name:14} {:6.1} s  {reason}", took.as_secs_f64());
        }
        if skipped > 0 {
            println!("{skipped} skipped");
        }
        println!("{passed} passed, {failed} failed");
        // A name that matches no step must not look like success.
        if failed > 0 || self.steps.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn sums(wanted: &[&str], strict: bool) -> (usize, usize, usize) {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let mut report = Report::new(&wanted, strict);
        report.step("one", || Ok(Outcome::Passed));
        report.step("two", || bail!("broken"));
        report.step("three", || Ok(Outcome::Skipped("no tool".to_owned())));
        report.sums()
    }

    #[test]
    fn all_steps_run_and_nothing_is_skipped_where_that_is_forbidden() {
        assert_eq!(sums(&[], false), (1, 1, 1));
        assert_eq!(sums(&[], true), (1, 2, 0));
        assert_eq!(sums(&["t"], true), (0, 2, 0));
        assert_eq!(sums(&["none"], true), (0, 0, 0));
    }
}
