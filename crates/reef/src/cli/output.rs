//! What is printed on stdout: documents as the hub sent them, tables for people. Text that an agent may have chosen is
//! made harmless to a terminal first.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde_json::Value;

use super::failure::Failure;

/// How a document is printed: as a table for people, which may change, or as the hub sent it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// Prints a document, or what `table` makes of it.
pub(crate) fn document(
    format: Format,
    document: &Value,
    table: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table()?,
        Format::Json => {
            serde_json::to_string_pretty(document).map_err(|source| Failure::Failed(source.to_string()))? + "\n"
        }
        Format::Yaml => serde_yaml_ng::to_string(document).map_err(|source| Failure::Failed(source.to_string()))?,
    };
    print(&text)
}

/// Prints one document of a stream: a line of JSON, a YAML document, or `line`.
pub(crate) fn record(format: Format, record: &Value, line: impl FnOnce() -> String) -> Result<(), Failure> {
    match format {
        Format::Table => print(&(line() + "\n")),
        Format::Json => print(&format!("{record}\n")),
        Format::Yaml => {
            let yaml = serde_yaml_ng::to_string(record).map_err(|source| Failure::Failed(source.to_string()))?;
            print(&format!("---\n{yaml}"))
        }
    }
}

/// Writes text to stdout at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Writes text that an agent chose: as it is into a file or pipe, harmless on a terminal.
pub(crate) fn print_foreign(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() { print(&printable(text)) } else { print(text) }
}

/// Lays out rows below a header, without lines.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.map(str::to_owned));
    for row in rows {
        table.add_row(row.map(|cell| one_line(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt() + "\n"
}

/// A control sequence could rewrite the screen or the clipboard of the person who reads: none gets through.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
}

fn one_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

fn is_harmless(c: char) -> bool {
    // Direction overrides show a text in another order than it has.
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(c, '\n' | '\t') || (!c.is_control() && !reorders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_cannot_drive_the_terminal() {
        for (text, expect) in [
            ("hello\n\tworld ä 🪸", "hello\n\tworld ä 🪸"),
            ("\u{1b}]52;c;aGk=\u{7}", "\u{fffd}]52;c;aGk=\u{fffd}"),
            ("\u{9b}2J", "\u{fffd}2J"),
            ("a\rb", "a\u{fffd}b"),
            ("abc\u{202e}fdp.exe", "abc\u{fffd}fdp.exe"),
        ] {
            assert_eq!(printable(text), expect);
        }
    }

    #[test]
    fn columns_line_up_and_cells_stay_on_their_line() {
        let text = table(["NAME", "NOTE"], [["a".into(), "x\ny".into()], ["longer".into(), String::new()]]);
        assert_eq!(text, "NAME     NOTE\na        x y\nlonger\n");
    }
}
