//! Which way the arrows between crates point.
//!
//! A new arrow needs an ADR; then this table changes with it.

use std::fs;

use crate::repository::{File, Finding, assert_none, root};

/// What one crate may use.
struct Rule {
    /// Its folder; empty for the root.
    folder: &'static str,
    /// The crates of this workspace that it may use.
    may_use: &'static [&'static str],
    /// The only foreign crates it may use outside of tests; `None` allows all but those it never uses.
    only: Option<&'static [&'static str]>,
    /// Crates that it never uses, not even in tests.
    never: &'static [&'static str],
}

const RULES: [Rule; 7] = [
    Rule {
        folder: "domain",
        may_use: &[],
        only: Some(&["cel", "serde", "serde_json", "sha2", "thiserror"]),
        never: &["tokio", "ractor", "openraft", "rand", "async-trait", "futures"],
    },
    Rule {
        folder: "storage",
        may_use: &[],
        only: None,
        never: &["tokio", "ractor", "openraft", "rand", "async-trait", "futures"],
    },
    Rule {
        folder: "cluster",
        may_use: &["synod-domain", "synod-storage"],
        only: None,
        never: &["ractor", "axum", "clap", "turmoil", "stateright", "sled", "raft-engine", "bincode"],
    },
    Rule {
        folder: "actors",
        may_use: &["synod-domain", "synod-storage"],
        only: None,
        never: &["openraft", "axum", "clap", "turmoil", "stateright", "sled", "raft-engine", "bincode"],
    },
    Rule {
        folder: "",
        may_use: &["synod-domain", "synod-storage", "synod-cluster", "synod-actors"],
        only: None,
        never: &["turmoil", "stateright", "openraft", "sled", "raft-engine", "bincode"],
    },
    Rule { folder: "simulations", may_use: &["synod"], only: None, never: &["stateright"] },
    Rule {
        folder: "simulations/model",
        may_use: &["synod-domain"],
        only: Some(&["stateright"]),
        never: &["tokio"],
    },
];

/// One line under a heading of dependencies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Whether only tests, benches and examples use it.
    pub(crate) dev: bool,
}

/// Reads the dependencies of a manifest, of every target and kind.
pub(crate) fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            // `[dependencies.name]` is a dependency in the heading itself.
            if let Some((kind, name)) =
                section.rsplit_once('.').filter(|(kind, _)| kind.ends_with("dependencies"))
            {
                let dev = kind.ends_with("dev-dependencies");
                found.push(Dependency { name: name.to_owned(), line: number + 1, dev });
            }
        } else if section.ends_with("dependencies") && section != "workspace.dependencies" {
            let name: String =
                line.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
            if !name.is_empty() {
                found.push(Dependency { name, line: number + 1, dev: section.ends_with("dev-dependencies") });
            }
        }
    }
    found
}

/// Reads the folders of the workspace, the root among them as an empty text.
pub(crate) fn members(manifest: &str) -> Vec<String> {
    let list = manifest.split_once("members").and_then(|(_, rest)| rest.split_once('[')?.1.split_once(']'));
    let mut members = vec![String::new()];
    members.extend(list.unwrap_or_default().0.split('"').skip(1).step_by(2).map(str::to_owned));
    members
}

/// Returns the manifest of every crate of the workspace.
pub(crate) fn manifests() -> Vec<(String, File)> {
    let read = |path: String| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        File { path, text }
    };
    let members = members(&read("Cargo.toml".to_owned()).text);
    assert!(members.len() > 1, "the list of members was not found");
    let path = |folder: &str| {
        if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") }
    };
    members.into_iter().map(|folder| (folder.clone(), read(path(&folder)))).collect()
}

fn check(rules: &[Rule], folder: &str, manifest: &File) -> Vec<Finding> {
    let Some(rule) = rules.iter().find(|rule| rule.folder == folder) else {
        return vec![Finding::new(manifest, 1, "this crate has no row in the table of tests/tidy/arrows.rs")];
    };
    let wrong = |dependency: &Dependency| {
        let name = dependency.name.as_str();
        let ours = name == "synod" || name.starts_with("synod-");
        if rule.never.contains(&name) || ours && !rule.may_use.contains(&name) {
            Some(format!("{name} must not be used here: see the crates in docs/ARCHITECTURE.md"))
        } else if !ours && !dependency.dev && rule.only.is_some_and(|only| !only.contains(&name)) {
            Some(format!("{name} is not among the few crates that may be used here"))
        } else {
            None
        }
    };
    let found = dependencies(&manifest.text).into_iter();
    found
        .filter_map(|dependency| Some(Finding::new(manifest, dependency.line, wrong(&dependency)?)))
        .collect()
}

#[test]
fn arrows_between_crates_point_inwards() {
    let manifests = manifests();
    let findings = manifests.iter().flat_map(|(folder, manifest)| check(&RULES, folder, manifest));
    assert_none(&findings.collect::<Vec<_>>());
    for rule in RULES {
        assert!(manifests.iter().any(|(folder, _)| *folder == rule.folder), "no crate in `{}`", rule.folder);
    }
}

#[test]
fn an_arrow_to_a_sibling_is_found() {
    let manifest =
        File::of("actors/Cargo.toml", "[dependencies]\nserde = \"1\"\nsynod-cluster.workspace = true\n");
    assert_eq!(check(&RULES, "actors", &manifest).len(), 1);
    let in_tests =
        File::of("actors/Cargo.toml", "[dev-dependencies]\nsynod-cluster = { path = \"../cluster\" }\n");
    assert_eq!(check(&RULES, "actors", &in_tests).len(), 1);
    let in_heading =
        File::of("actors/Cargo.toml", "[target.'cfg(unix)'.dependencies.openraft]\nversion = \"1\"\n");
    assert_eq!(check(&RULES, "actors", &in_heading).len(), 1);
}

#[test]
fn a_foreign_crate_in_the_domain_is_found_outside_of_tests() {
    let manifest = File::of(
        "domain/Cargo.toml",
        "[dependencies]\nregex = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n",
    );
    assert_eq!(check(&RULES, "domain", &manifest).len(), 1);
}

#[test]
fn a_crate_without_a_row_is_found() {
    assert_eq!(check(&RULES, "extras", &File::of("extras/Cargo.toml", "")).len(), 1);
}
