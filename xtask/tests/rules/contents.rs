//! What may be written where.

use crate::source::{File, Parts, files, none, parts};

/// The longest file that is written by hand, in lines.
const FILE_LINES_MAX: usize = 800;

/// Uses of the agent's name outside its crate that are needed, each with its reason.
const AGENT_NAME_ALLOWED: [(&str, &str, &str); 1] = [(
    "crates/reef-forward/",
    "x-openclaw-",
    "headers by which a client could claim an identity are removed before a request is forwarded",
)];

fn rust() -> Vec<File> {
    files(&["rs"])
}

fn is_in(file: &File, folders: &[&str]) -> bool {
    folders.iter().any(|folder| file.path.starts_with(folder))
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let files = files(&["rs", "ts", "tsx", "css", "mjs", "sh", "md"]);
    none(files.iter().filter_map(|file| {
        let lines = file.text.lines().count();
        let generated = file.path.ends_with("schema.d.ts");
        (lines > FILE_LINES_MAX && !generated)
            .then(|| format!("{} has {lines} lines, more than {FILE_LINES_MAX}: cut it", file.path))
    }));
}

#[test]
fn sql_is_in_the_store_only() {
    none(rust().iter().filter(|file| !is_in(file, &["crates/reef-store/", "xtask/tests/"])).filter_map(|file| {
        let sql = parts(&file.text).strings.into_iter().find(|text| is_sql(text))?;
        Some(format!("{} holds SQL: {sql:?}", file.path))
    }));
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pair = |pair: &[&str]| {
        matches!(
            (pair[0], pair[1]),
            ("INSERT", "INTO" | "OR") | ("DELETE", "FROM") | ("CREATE", "TABLE" | "INDEX") | ("PRAGMA", _)
        )
    };
    words.first() == Some(&"SELECT") || words.starts_with(&["BEGIN", "IMMEDIATE"]) || words.windows(2).any(pair)
}

#[test]
fn unsafe_code_is_in_the_sandbox_only() {
    none(rust().iter().filter(|file| !is_in(file, &["crates/reef-sandbox/"])).filter_map(|file| {
        let code = parts(&file.text).code;
        let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == "unsafe").then(|| format!("{} holds unsafe code", file.path))
    }));
}

#[test]
fn only_one_crate_knows_the_agent_by_name() {
    let knows =
        |file: &&File| !file.is_test() && !is_in(file, &["crates/reef-openclaw/", "crates/reef/", "bench/", "xtask/"]);
    none(rust().iter().filter(knows).filter_map(|file| {
        let parts = parts(file.product());
        let named = parts.strings.iter().chain([&parts.code]).any(|text| {
            let mut text = text.to_ascii_lowercase();
            for (_, allowed, _why) in AGENT_NAME_ALLOWED.iter().filter(|(folder, ..)| is_in(file, &[folder])) {
                text = text.replace(allowed, "");
            }
            text.contains("openclaw")
        });
        named.then(|| format!("{} knows the agent's name", file.path))
    }));
}

#[test]
fn tests_are_run_or_removed() {
    none(rust().iter().filter_map(|file| {
        let Parts { code, strings } = parts(&file.text);
        // What tests start as another process is a test to the compiler only.
        let children = strings.iter().filter(|text| text.starts_with("the child process of ")).count();
        if code.matches("#[ignore").count() > children {
            return Some(format!("{} ignores a test", file.path));
        }
        // With an expected message it is a test; without, any mistake passes it.
        code.contains("#[should_panic]").then(|| format!("{} expects any panic at all", file.path))
    }));
}

#[test]
fn a_module_is_named_by_its_file() {
    let misnamed = rust().into_iter().filter(|file| file.path.ends_with("/mod.rs"));
    none(misnamed.map(|file| format!("{}: use the folder's name beside the folder", file.path)));
}

#[test]
fn every_module_says_what_it_is_for() {
    none(rust().iter().filter_map(|file| {
        let inner = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
        (!inner && !file.text.starts_with("//!")).then(|| format!("{} does not open with `//!`", file.path))
    }));
}

#[test]
fn nothing_depends_on_the_machine_that_it_was_written_on() {
    // Written in parts, so that this file keeps its own rule.
    let own = [["/work", "/main"], ["/work", "/shared"], ["/tmp", "/brief"], ["/root", "/."], ["/home", "/ubuntu"]];
    none(files(&["rs", "toml", "ts", "tsx", "mjs", "sh", "md", "json", "yml"]).iter().filter_map(|file| {
        let path = own.map(|parts| parts.concat()).into_iter().find(|path| file.text.contains(path))?;
        Some(format!("{} names {path}", file.path))
    }));
}
