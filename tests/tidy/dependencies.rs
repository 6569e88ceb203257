//! Every dependency is explained in `docs/DEPENDENCIES.md`, and nothing else is.
//!
//! The table there has the columns crate, used by, why, licence, trap. The second one must agree with the
//! manifests, so a dependency that comes or goes changes the document too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::arrows::{dependencies, manifests};
use crate::repository::{File, Finding, assert_none, files, root};
use crate::rust::{code, lines_with};

/// Crates by name, each with the folders of those who use it; `(tests)` after a folder says that only its
/// tests do.
type Uses = BTreeMap<String, BTreeSet<String>>;

const DOCUMENT: &str = "docs/DEPENDENCIES.md";

fn uses() -> Uses {
    let mut uses = Uses::new();
    for (folder, manifest) in manifests() {
        let folder = if folder.is_empty() { "src".to_owned() } else { folder };
        let found = dependencies(&manifest.text);
        for dependency in found.iter().filter(|dependency| !dependency.name.starts_with("synod")) {
            let also_shipped = found.iter().any(|other| other.name == dependency.name && !other.dev);
            if !dependency.dev || !also_shipped {
                let user = if dependency.dev { format!("{folder} (tests)") } else { folder.clone() };
                uses.entry(dependency.name.clone()).or_default().insert(user);
            }
        }
    }
    uses
}

/// Reads the rows of the table: line, crate, and the cells after it.
fn rows(text: &str) -> Vec<(usize, String, Vec<String>)> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut cells = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let name = cells.next().unwrap_or_default();
        if let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
            rows.push((number + 1, name.to_owned(), cells.collect()));
        }
    }
    rows
}

fn check(document: &File, uses: &Uses) -> Vec<Finding> {
    let rows = rows(&document.text);
    let mut findings = Vec::new();
    for (line, name, cells) in &rows {
        let mut add = |what: String| findings.push(Finding::new(document, *line, what));
        let Some(users) = uses.get(name) else {
            add(format!("no crate of the workspace depends on {name}: remove the row"));
            continue;
        };
        if cells.len() != 4 || cells.iter().any(String::is_empty) {
            add(format!("the row of {name} needs: who uses it, why, licence, trap (or a dash)"));
            continue;
        }
        let told: BTreeSet<String> = cells[0].split(',').map(|user| user.trim().to_owned()).collect();
        if told != *users {
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            add(format!("{name} is used by {}", users.join(", ")));
        }
    }
    for name in uses.keys().filter(|name| !rows.iter().any(|(_, row, _)| row == *name)) {
        findings.push(Finding::new(document, 1, format!("{name} has no row: say why it is needed")));
    }
    findings
}

/// Returns the names under `[workspace.dependencies]`.
fn declared(manifest: &str) -> Vec<String> {
    let section = manifest.split_once("[workspace.dependencies]").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n[").map_or(section, |(section, _)| section);
    let lines = section.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
}

/// Folders of the root crate; the others hold all that is below them.
const OF_ROOT: [&str; 4] = ["src/", "tests/", "examples/", "benches/"];

/// Finds what a manifest names and no source of its crate does.
fn check_named(folder: &str, manifest: &File, sources: &[(String, String)]) -> Vec<Finding> {
    let belongs = |path: &str| {
        if folder.is_empty() {
            OF_ROOT.iter().any(|own| path.starts_with(own))
        } else {
            path.starts_with(&format!("{folder}/"))
        }
    };
    let own: Vec<&str> =
        sources.iter().filter(|(path, _)| belongs(path)).map(|(_, code)| code.as_str()).collect();
    let unnamed = dependencies(&manifest.text).into_iter().filter(|dependency| {
        let name = dependency.name.replace('-', "_");
        !own.iter().any(|code| !lines_with(code, &name).is_empty())
    });
    let finding =
        |line, name: &str| Finding::new(manifest, line, format!("no source names {name}: remove it"));
    unnamed.map(|dependency| finding(dependency.line, &dependency.name)).collect()
}

#[test]
fn every_dependency_is_named_by_a_source_of_its_crate() {
    let sources = files().into_iter().filter(|file| file.is(".rs"));
    let sources: Vec<(String, String)> = sources.map(|file| (file.path, code(&file.text))).collect();
    let manifests = manifests();
    let findings = manifests.iter().flat_map(|(folder, manifest)| check_named(folder, manifest, &sources));
    assert_none(&findings.collect::<Vec<_>>());
}

#[test]
fn every_dependency_is_explained() {
    let text = fs::read_to_string(root().join(DOCUMENT)).unwrap();
    assert_none(&check(&File { path: DOCUMENT.to_owned(), text }, &uses()));
}

#[test]
fn every_declared_dependency_is_used() {
    let uses = uses();
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest = File { path: "Cargo.toml".to_owned(), text };
    let declared = declared(&manifest.text);
    assert!(declared.len() > 10, "the workspace's dependencies were not found");
    let unused = declared.iter().filter(|name| !name.starts_with("synod") && !uses.contains_key(*name));
    let findings = unused.map(|name| Finding::new(&manifest, 1, format!("no crate uses {name}: remove it")));
    assert_none(&findings.collect::<Vec<_>>());
}

mod can_fail {
    use super::*;

    fn uses() -> Uses {
        let users = |users: &[&str]| users.iter().map(|user| (*user).to_owned()).collect();
        Uses::from([("a".to_owned(), users(&["domain", "src (tests)"])), ("b".to_owned(), users(&["src"]))])
    }

    fn findings(text: &str) -> Vec<String> {
        check(&File::of(DOCUMENT, text), &uses()).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_dependency_without_a_row_is_found() {
        let text = "| crate | used by |\n|---|---|\n| `a` | domain, src (tests) | why | MIT | - |\n";
        assert_eq!(findings(text), ["docs/DEPENDENCIES.md:1: b has no row: say why it is needed"]);
    }

    #[test]
    fn a_row_that_went_stale_is_found() {
        let text =
            "| `a` | domain | why | MIT | - |\n| `b` | src | | MIT | - |\n| `c` | src | why | MIT | - |\n";
        let found = findings(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("a is used by domain, src (tests)"), "{found:?}");
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let manifest = File::of("domain/Cargo.toml", "[dependencies]\na-b = \"1\"\nc = \"1\"\nd = \"1\"\n");
        let sources = [
            ("domain/src/lib.rs".to_owned(), "use a_b::X;\nuse cd::Y;".to_owned()),
            ("src/lib.rs".to_owned(), "use d::Z;".to_owned()),
        ];
        assert_eq!(check_named("domain", &manifest, &sources).len(), 2);
    }

    #[test]
    fn declared_names_are_read_without_comments() {
        let manifest =
            "[workspace.dependencies]\n# c = 1\na = \"1\"\nb = { path = \"b\" }\n\n[package]\nname = \"d\"\n";
        assert_eq!(declared(manifest), ["a", "b"]);
    }
}
