//! Links in documents lead somewhere, and tests that documents name exist.

use std::collections::BTreeSet;

use crate::repository::{File, Finding, assert_none, files, root};
use crate::rust::{code, functions, is_word};

/// Documents that say which test shows a promise.
const PROMISES: [&str; 2] = ["docs/GUARANTEES.md", "docs/CHECKLISTS.md"];

/// Returns the prose of a document: no fenced code; inline code is kept.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// Splits a line at its backticks: texts at even places are prose, at odd places code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns the targets of the links of a document with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // `[`code`](target)` keeps its target: only the code itself goes.
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let target: String = line[at + 2..].chars().take_while(|c| !matches!(c, ')' | ' ')).collect();
            found.push((number, target));
        }
        if let Some((name, target)) = line.split_once("]: ").filter(|(name, _)| name.starts_with('[')) {
            debug_assert!(!name.is_empty());
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// Returns the anchor of a heading: lower case, words joined by hyphens, as the usual hosts make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| anchor(title))
    });
    headings.collect()
}

/// Joins a relative link to the folder of the document; `None` when it leaves the repository.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn check(
    file: &File,
    exists: impl Fn(&str) -> bool,
    text_of: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, link) in links(&file.text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() { Some(file.path.clone()) } else { resolve(&file.path, path) };
        let Some(target) = target.filter(|target| exists(target)) else {
            findings.push(Finding::new(file, line, format!("the link to {link} leads nowhere")));
            continue;
        };
        let text = if fragment.is_empty() { None } else { text_of(&target) };
        if text.is_some_and(|text| !anchors(&text).contains(fragment)) {
            findings.push(Finding::new(file, line, format!("{target} has no heading #{fragment}")));
        }
    }
    findings
}

/// Names in code marks that look like a test's: a sentence of at least three words.
fn named_tests(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for name in line.split('`').skip(1).step_by(2) {
            let sentence =
                name.matches('_').count() >= 2 && name.chars().all(|c| is_word(c) && !c.is_ascii_uppercase());
            if sentence {
                found.push((number, name.to_owned()));
            }
        }
    }
    found
}

fn check_named_tests(file: &File, known: &BTreeSet<String>) -> Vec<Finding> {
    let unknown = named_tests(&file.text).into_iter().filter(|(_, name)| !known.contains(name));
    unknown.map(|(line, name)| Finding::new(file, line, format!("there is no test {name}"))).collect()
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let files = files();
    let exists = |path: &str| root().join(path).exists();
    let text_of = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.clone());
    let documents = files.iter().filter(|file| file.is(".md"));
    assert_none(&documents.flat_map(|file| check(file, exists, text_of)).collect::<Vec<_>>());
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let files = files();
    let sources = files.iter().filter(|file| file.is(".rs"));
    let known: BTreeSet<String> = sources.flat_map(|file| functions(&code(&file.text))).collect();
    let promises: Vec<&File> = files.iter().filter(|file| PROMISES.contains(&file.path.as_str())).collect();
    assert_eq!(promises.len(), PROMISES.len(), "a document of promises is missing");
    for file in &promises {
        assert!(!named_tests(&file.text).is_empty(), "{} names no test", file.path);
    }
    assert_none(&promises.into_iter().flat_map(|file| check_named_tests(file, &known)).collect::<Vec<_>>());
}

mod can_fail {
    use super::*;

    const TREE: [(&str, &str); 2] = [
        ("README.md", "# Synod\n\n## How it's built\n"),
        ("docs/A.md", "# A `b` c\n```\n# no heading\n```\n"),
    ];

    fn findings(path: &str, text: &str) -> usize {
        let text_of =
            |path: &str| TREE.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        check(&File::of(path, text), |path| TREE.iter().any(|(name, _)| *name == path), text_of).len()
    }

    #[test]
    fn a_link_to_no_file_is_found() {
        assert_eq!(findings("docs/B.md", "[a](A.md) [b](../README.md) [c](https://example.org/x)"), 0);
        assert_eq!(findings("docs/B.md", "[a](B2.md) and [b](../../etc)"), 2);
        assert_eq!(findings("docs/B.md", "```\n[a](B2.md)\n```\n`[a](B2.md)`"), 0);
        assert_eq!(findings("docs/B.md", "[`code`](B2.md)"), 1);
        assert_eq!(findings("docs/B.md", "[name]: B2.md"), 1);
    }

    #[test]
    fn a_link_to_no_heading_is_found() {
        assert_eq!(findings("docs/B.md", "[a](../README.md#how-its-built) [b](A.md#a-b-c)"), 0);
        assert_eq!(findings("docs/B.md", "[a](../README.md#how) [b](A.md#no-heading)"), 2);
    }

    #[test]
    fn a_promise_shown_by_no_test_is_found() {
        let known = BTreeSet::from(["one_lease_at_a_time".to_owned()]);
        let file = File::of(
            "docs/GUARANTEES.md",
            "| a | `one_lease_at_a_time`, `ends_only_once` | `State::apply` |",
        );
        assert_eq!(check_named_tests(&file, &known).len(), 1);
    }
}
