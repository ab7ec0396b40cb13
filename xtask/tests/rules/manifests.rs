//! What the manifests must and must not say.

use crate::source::files;

#[test]
fn versions_are_named_in_the_root_manifest_only() {
    for file in files(&["toml"]) {
        let member = file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/");
        if !member {
            continue;
        }
        let mut section = "";
        for line in file.text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
                continue;
            }
            if !section.contains("dependencies") || line.is_empty() || line.starts_with('#') {
                continue;
            }
            let inherits = line.contains(".workspace = true") || line.contains("workspace = true");
            // A list that goes on over several lines belongs to the line that began it.
            assert!(inherits || !line.contains('='), "{}: `{line}` names its own version", file.path);
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for file in files(&["toml"]) {
        if file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml") {
            assert!(file.text.contains("[lints]\nworkspace = true"), "{} has its own lints", file.path);
            assert!(file.text.contains("publish.workspace = true"), "{} could be published", file.path);
        }
    }
}
