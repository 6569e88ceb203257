//! Every bug that is put in on purpose is declared, used once or more, and listed with who must notice it.
//!
//! Declared in `domain/src/mutants.rs`, used as `mutant(Mutant::Name)` where the mistake would be made, listed in
//! `simulations/src/mutants.rs`. A bug that is used and not listed would be hunted by nobody.

use std::collections::BTreeSet;

use crate::repository::{File, Finding, assert_none, files};
use crate::rust::code;

/// Where they are declared: a variant and its word.
const DECLARED: &str = "domain/src/mutants.rs";

/// Where they are listed.
const LIST: &str = "simulations/src/mutants.rs";

/// How a place asks for its bug.
const ASKS: &str = "mutant(Mutant::";

/// How the list names a bug.
const NAMES: &str = "mutant: Mutant::";

/// Returns the names that follow a text.
fn names_after(code: &str, text: &str) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>();
    code.split(text).skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

/// Returns the variants of the declaration: lines such as `Name = "word",`.
fn declared(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(" = \""));
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty();
    lines.filter(|(name, _)| is_name(name)).map(|(name, _)| name.to_owned()).collect()
}

fn check(files: &[File]) -> Vec<Finding> {
    let named = |path: &str| files.iter().find(|file| file.path == path);
    let (Some(declaration), Some(list)) = (named(DECLARED), named(LIST)) else {
        return files.first().map(|file| Finding::new(file, 1, "there are no mutants")).into_iter().collect();
    };
    let declared = declared(&declaration.text);
    let listed = names_after(&code(&list.text), NAMES);
    let mut used = BTreeSet::new();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(".rs") && file.path.contains("src/")) {
        if [DECLARED, LIST].contains(&file.path.as_str()) || file.path.starts_with("tests/") {
            continue;
        }
        for name in names_after(&code(&file.text), ASKS) {
            if !listed.contains(&name) {
                findings.push(Finding::new(file, 1, format!("the mutant {name} is not listed in {LIST}")));
            }
            used.insert(name);
        }
    }
    let lacks = |file: &File, name: &String, what: &str| Finding::new(file, 1, format!("{name} {what}"));
    findings.extend(listed.difference(&used).map(|name| lacks(list, name, "is listed and stands nowhere")));
    findings.extend(declared.difference(&listed).map(|name| lacks(declaration, name, "is not listed")));
    findings
}

#[test]
fn every_mutant_is_listed_and_stands_somewhere() {
    let files = files();
    let declaration = files.iter().find(|file| file.path == DECLARED).map(|file| declared(&file.text));
    assert!(declaration.is_some_and(|names| names.len() >= 15), "the declaration was not read");
    assert_none(&check(&files));
}

mod can_fail {
    use super::*;

    fn findings(declared: &str, list: &str, place: &str) -> Vec<String> {
        let files = [File::of(DECLARED, declared), File::of("domain/src/a.rs", place), File::of(LIST, list)];
        check(&files).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_mutant_that_one_side_lacks_is_found() {
        let (declared, list) = ("    A = \"a\",\n", "Seeded { mutant: Mutant::A }");
        let place = "if mutant(Mutant::A) {}";
        assert_eq!(findings(declared, list, place), [""; 0]);
        assert_eq!(findings(declared, list, "").len(), 1);
        assert_eq!(findings(declared, "", place).len(), 2);
        assert_eq!(findings(declared, list, "mutant(Mutant::A) || mutant(Mutant::B)").len(), 1);
    }
}
