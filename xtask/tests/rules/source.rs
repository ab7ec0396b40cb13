//! Reads the repository: its files, and what of a Rust file is code, text or comment.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that hold nothing written by hand.
const GENERATED: [&str; 6] = ["target", "node_modules", "dist", ".git", "results", "corpus"];

/// A file of the repository.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether the file holds tests or helps them, so that rules for the product do not apply.
    pub(crate) fn is_test(&self) -> bool {
        let path = Path::new(&self.path);
        let named = path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs");
        named
            || path.components().any(|part| part.as_os_str() == "tests")
            || self.path.starts_with("crates/reef-testkit/")
    }

    /// The part before the tests that a file ends with.
    pub(crate) fn product(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
    }
}

/// Fails with all that is wrong, not with the first of it.
pub(crate) fn none(violations: impl Iterator<Item = String>) {
    let violations: Vec<String> = violations.collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// All text files with one of these extensions, sorted by path.
pub(crate) fn files(extensions: &[&str]) -> Vec<File> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
            if kind.is_dir() && !GENERATED.iter().any(|generated| name == *generated) {
                folders.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                // A file may go away while others work in the same folder.
                let Ok(bytes) = fs::read(entry.path()) else { continue };
                let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push(File { path, text: String::from_utf8(bytes).expect("sources are UTF-8") });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// A Rust file taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Everything but comments and what stands between quotes.
    pub(crate) code: String,
    /// The string literals.
    pub(crate) strings: Vec<String>,
}

/// Takes a Rust file apart. Knows enough of the lexer for the files of this repository, not for all of Rust.
pub(crate) fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..];
        } else if let Some(hashes) = raw_string(rest, &parts.code) {
            let start = hashes + 2;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = rest[start..].find(&close).map_or(rest.len(), |end| start + end);
            parts.strings.push(rest[start..end].to_owned());
            rest = &rest[(end + close.len()).min(rest.len())..];
        } else if first == '"' {
            let end = string_end(rest);
            parts.strings.push(rest[1..end].to_owned());
            rest = &rest[(end + 1).min(rest.len())..];
        } else if let Some(length) = char_literal(rest) {
            rest = &rest[length..];
        } else {
            parts.code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    parts
}

/// How many `#` a raw string that begins here has.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    let inside_a_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !before.ends_with('b');
    let after = rest.strip_prefix('r').filter(|_| !inside_a_word)?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return index,
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    rest.len()
}

/// The length of a character literal; a lifetime is none.
fn char_literal(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let skip = escape.chars().next()?.len_utf8();
        return escape[skip..].find('\'').map(|end| end + skip + 3);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

#[test]
fn code_and_text_are_told_apart() {
    for (text, code, strings) in [
        ("a \"b\" c // d", "a  c ", &["b"][..]),
        ("x(r#\"q\"q\"#, 'a', '\"', '\\'', \"\\\"\")", "x(, , , , )", &["q\"q", "\\\""]),
        ("fn f<'a>(x: &'a str) {} /* \" */ \"s\"", "fn f<'a>(x: &'a str) {}  ", &["s"]),
        ("for r in b\"y\" {}", "for r in b {}", &["y"]),
    ] {
        let strings = strings.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(parts(text), Parts { code: code.to_owned(), strings }, "{text}");
    }
}
