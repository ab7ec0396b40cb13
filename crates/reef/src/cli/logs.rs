//! `reef logs`.

use clap::Args;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    job::Retry,
    output::{self, Format},
    selector::Selector,
};

/// Lines that are shown without `--tail`.
const TAIL_DEFAULT: u32 = 200;
/// Lines that the hub gives at most, and that are asked for again after a cut.
const TAIL_MAX: i64 = 10_000;

/// Which lines.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name or id
    name: Selector,
    /// Go on with what it writes from now on
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to begin with
    #[arg(long, default_value_t = TAIL_DEFAULT, value_name = "LINES", value_parser = clap::value_parser!(u32).range(..=TAIL_MAX))]
    tail: u32,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
}

pub(crate) async fn run(client: &Client, format: Format, args: LogsArgs) -> Result<(), Failure> {
    let mut seen = Seen::default();
    let mut path = args.name.path(&format!("/logs?tail={}&follow={}", args.tail, args.follow));
    let mut retry = Retry::new();
    loop {
        match copy(client, format, &args, &path, &mut seen, &mut retry).await {
            Ok(()) if args.follow => {}
            Ok(()) => return Ok(()),
            Err(failure) if args.follow && failure.is_transient() && seen.connected => {}
            Err(failure) => return Err(failure),
        }
        retry.pause().await?;
        path = args.name.path(&format!("/logs?tail={TAIL_MAX}&follow=true"));
    }
}

/// Prints the lines of one stream until it ends.
///
/// # Errors
/// `Unavailable` when it ended without saying so: that was a cut.
async fn copy(
    client: &Client,
    format: Format,
    args: &LogsArgs,
    path: &str,
    seen: &mut Seen,
    retry: &mut Retry,
) -> Result<(), Failure> {
    let mut events = client.events(path, None).await?;
    seen.reconnected();
    while let Some(event) = events.next().await? {
        *retry = Retry::new();
        let line: Value = event.parse()?;
        let text = |member: &str| line.get(member).and_then(Value::as_str).unwrap_or_default();
        match event.name.as_str() {
            "line" => {}
            "end" => return Ok(()),
            "error" => return Err(Failure::Failed(text("message").to_owned())),
            _ => continue,
        }
        if !seen.is_new(text("at"), &event.data) {
            continue;
        }
        if format == Format::Table {
            let at = if args.timestamps { format!("{} ", text("at")) } else { String::new() };
            output::print_foreign(&format!("{at}{}\n", text("text")))?;
        } else {
            output::record(format, &line, String::new)?;
        }
    }
    Err(Failure::Unavailable("the hub went away in the middle of the log".to_owned()))
}

/// Tells lines that were printed before a cut from new ones: several lines may bear the same time.
#[derive(Default)]
struct Seen {
    connected: bool,
    at: Option<String>,
    /// Lines of the time `at`.
    last: Vec<String>,
    /// Lines of the time `at` that the new stream may bring again.
    repeated: Vec<String>,
    resuming_from: Option<String>,
}

impl Seen {
    fn reconnected(&mut self) {
        self.connected = true;
        self.resuming_from.clone_from(&self.at);
        self.repeated.clone_from(&self.last);
    }

    fn is_new(&mut self, at: &str, line: &str) -> bool {
        // Times of the same form and zone compare as text.
        if let Some(from) = &self.resuming_from {
            if at < from.as_str() {
                return false;
            }
            if at == from
                && let Some(index) = self.repeated.iter().position(|earlier| earlier == line)
            {
                self.repeated.swap_remove(index);
                return false;
            }
        }
        if self.at.as_deref() != Some(at) {
            self.at = Some(at.to_owned());
            self.last.clear();
        }
        self.last.push(line.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_repeats_no_line_and_loses_none() {
        let mut seen = Seen::default();
        let mut check = |cut: bool, lines: &[(&str, &str, bool)]| {
            if cut {
                seen.reconnected();
            }
            for (at, line, new) in lines {
                assert_eq!(seen.is_new(at, line), *new, "{at} {line}");
            }
        };
        check(true, &[("1", "a", true), ("2", "b", true), ("2", "b", true), ("2", "c", true)]);
        check(true, &[("1", "a", false), ("2", "b", false), ("2", "b", false), ("2", "c", false), ("2", "d", true)]);
        check(true, &[("2", "d", false), ("3", "b", true), ("3", "b", true)]);
    }
}
