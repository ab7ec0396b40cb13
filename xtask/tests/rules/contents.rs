//! What may be written where.

use crate::source::{File, files, parts};

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
    for file in files(&["rs", "ts", "tsx", "css", "mjs", "sh", "md"]) {
        // Generated, and marked so at its head by the generator.
        if file.path.ends_with("schema.d.ts") {
            continue;
        }
        let lines = file.text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines, more than {FILE_LINES_MAX}: cut it", file.path);
    }
}

#[test]
fn sql_is_in_the_store_only() {
    for file in rust() {
        if is_in(&file, &["crates/reef-store/", "xtask/tests/"]) {
            continue;
        }
        for text in parts(&file.text).strings {
            let words: Vec<&str> = text.split_whitespace().collect();
            let sql = words.windows(2).any(|pair| {
                matches!(
                    (pair[0], pair[1]),
                    ("INSERT", "INTO" | "OR") | ("DELETE", "FROM") | ("CREATE", "TABLE" | "INDEX") | ("PRAGMA", _)
                )
            });
            let sql = sql || (words.first() == Some(&"SELECT")) || words.starts_with(&["BEGIN", "IMMEDIATE"]);
            assert!(!sql, "{} holds SQL: {text:?}", file.path);
        }
    }
}

#[test]
fn unsafe_code_is_in_the_sandbox_only() {
    for file in rust() {
        if is_in(&file, &["crates/reef-sandbox/"]) {
            continue;
        }
        let code = parts(&file.text).code;
        let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        assert!(!words.contains(&"unsafe"), "{} holds unsafe code", file.path);
    }
}

#[test]
fn only_one_crate_knows_the_agent_by_name() {
    for file in rust() {
        if file.is_test() || is_in(&file, &["crates/reef-openclaw/", "crates/reef/", "xtask/"]) {
            continue;
        }
        let parts = parts(file.product());
        for text in parts.strings.iter().chain([&parts.code]) {
            let mut text = text.to_ascii_lowercase();
            for (folder, allowed, _why) in AGENT_NAME_ALLOWED {
                if file.path.starts_with(folder) {
                    text = text.replace(allowed, "");
                }
            }
            // Attributes of documentation hold examples; they are text for people.
            assert!(!text.contains("openclaw"), "{} knows the agent's name", file.path);
        }
    }
}

#[test]
fn tests_are_run_or_removed() {
    for file in rust() {
        let code = parts(&file.text).code;
        assert!(!code.contains("#[ignore"), "{} ignores a test", file.path);
        assert!(!code.contains("#[should_panic"), "{} expects any panic at all", file.path);
    }
}

#[test]
fn a_module_is_named_by_its_file() {
    for file in rust() {
        assert!(!file.path.ends_with("/mod.rs"), "{}: use the folder's name beside the folder", file.path);
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in rust() {
        let inner = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
        assert!(inner || file.text.starts_with("//!"), "{} does not open with `//!`", file.path);
    }
}

#[test]
fn nothing_depends_on_the_machine_that_it_was_written_on() {
    // Written in parts, so that this file keeps its own rule.
    let own = [["/work", "/main"], ["/work", "/shared"], ["/tmp", "/brief"], ["/root", "/."], ["/home", "/ubuntu"]];
    for file in files(&["rs", "toml", "ts", "tsx", "mjs", "sh", "md", "json", "yml"]) {
        for path in own.map(|parts| parts.concat()) {
            assert!(!file.text.contains(&path), "{} names {path}", file.path);
        }
    }
}
