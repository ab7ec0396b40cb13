//! docs/acceptance.md says where each known defect is ruled out: whatever it names must exist.

use std::{collections::BTreeSet, fs};

use crate::source::{files, root};

fn document() -> String {
    fs::read_to_string(root().join("docs/acceptance.md")).unwrap()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_named_path_exists() {
    for path in quoted(&document()).filter(|text| text.contains('/') && !text.starts_with('/')) {
        assert!(root().join(path).exists(), "docs/acceptance.md names {path}, which does not exist");
    }
}

#[test]
fn every_named_test_exists() {
    let sources = files(&["rs", "ts", "tsx", "mjs"]);
    for test in quoted(&document()).filter(|text| !text.contains('/') && text.contains("::")) {
        let name = test.rsplit("::").next().unwrap();
        let exists = sources
            .iter()
            .any(|file| file.text.contains(&format!("fn {name}(")) || file.text.contains(&format!("\"{name}\"")));
        assert!(exists, "docs/acceptance.md names the test {test}, which does not exist");
    }
}

#[test]
fn every_item_has_its_row() {
    let document = document();
    let rows: BTreeSet<u32> =
        document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.trim().parse().ok()).collect();
    assert_eq!(rows, (1..=73).collect(), "the list has 73 items");
}
