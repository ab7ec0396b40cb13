//! Which crate may depend on which. An arrow that is not in the table is a decision, and is made here.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::source::root;

/// Crate, and the crates of this workspace that it may use in the product.
const ARROWS: [(&str, &[&str]); 15] = [
    ("reef-types", &[]),
    ("reef-driver", &["reef-types"]),
    ("reef-store", &["reef-types"]),
    ("reef-auth", &["reef-types"]),
    ("reef-sandbox", &["reef-types"]),
    ("reef-driver-process", &["reef-types", "reef-driver", "reef-sandbox"]),
    ("reef-node", &["reef-types", "reef-driver"]),
    // The data plane never sees the database: if that stalls, running chats go on.
    ("reef-forward", &["reef-types", "reef-driver"]),
    ("reef-broker", &["reef-types", "reef-driver"]),
    ("reef-openclaw", &["reef-types", "reef-driver"]),
    // The hub knows agents and drivers by their traits only.
    ("reef-server", &["reef-types", "reef-store", "reef-auth", "reef-driver", "reef-forward", "reef-broker"]),
    // A helper of tests; nothing that is shipped uses it.
    (
        "reef-testkit",
        &["reef-types", "reef-driver", "reef-store", "reef-auth", "reef-forward", "reef-broker", "reef-server"],
    ),
    // The composition root: the one place that names concrete drivers and agents.
    (
        "reef",
        &[
            "reef-types",
            "reef-store",
            "reef-auth",
            "reef-driver",
            "reef-driver-process",
            "reef-sandbox",
            "reef-node",
            "reef-forward",
            "reef-broker",
            "reef-openclaw",
            "reef-server",
        ],
    ),
    ("xtask", &[]),
    // Measures the program from outside; what it needs for that is for development only.
    ("reef-bench", &[]),
];

/// Crates that only one other may use, and the reason.
const ONLY_IN: [(&str, &[&str], &str); 4] = [
    ("rusqlite", &["reef-store"], "all SQL is in one crate"),
    ("landlock", &["reef-sandbox"], "what needs `unsafe` or kernel knowledge is in one crate"),
    ("seccompiler", &["reef-sandbox"], "what needs `unsafe` or kernel knowledge is in one crate"),
    ("axum", &["reef-server"], "only the hub is an application server"),
];

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap()
}

#[test]
fn crates_depend_only_where_an_arrow_is_drawn() {
    let arrows = BTreeMap::from(ARROWS);
    let metadata = metadata();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("the crate {name} has no arrows: draw them"));
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            let to = dependency.name.as_str();
            assert!(allowed.contains(&to), "{name} must not depend on {to}");
        }
    }
    for (name, _) in ARROWS {
        assert!(metadata.packages.iter().any(|p| p.name == name), "{name} has arrows but does not exist");
    }
}

#[test]
fn the_testkit_is_never_shipped() {
    for package in metadata().packages {
        for dependency in &package.dependencies {
            let shipped = dependency.kind != DependencyKind::Development;
            assert!(!shipped || dependency.name != "reef-testkit", "{} ships reef-testkit", package.name);
            let fakes = dependency.features.iter().any(|feature| feature == "testkit");
            assert!(!shipped || !fakes || package.name == "reef-testkit", "{} ships fakes", package.name);
        }
    }
}

#[test]
fn some_libraries_have_one_home() {
    for package in metadata().packages {
        for (library, homes, why) in ONLY_IN {
            let used = package.dependencies.iter().any(|d| d.name == library && d.kind != DependencyKind::Development);
            assert!(!used || homes.contains(&package.name.as_str()), "{} uses {library}: {why}", package.name);
        }
    }
}
