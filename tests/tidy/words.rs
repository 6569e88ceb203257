//! Words that do not stand in the tree, or stand in one place only.

use std::collections::BTreeSet;

use crate::repository::{File, Finding, assert_none, assert_tidy, files};
use crate::rust::{code, lines_with, test_modules, without_tests};

/// Never, tests included: each is unfinished work.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Not outside of tests.
const ONLY_IN_TESTS: [(&str, &str); 1] =
    [(".unwrap()", "return the error, or prove with a type that it cannot be")];

/// Not in the domain outside of tests: the rules are pure, and replicas must agree.
const NOT_IN_DOMAIN: [(&str, &str); 12] = [
    ("std::fs", "the domain does no IO"),
    ("std::net", "the domain does no IO"),
    ("std::process", "the domain does no IO"),
    ("std::env", "the domain reads no environment"),
    ("std::thread", "the domain has no threads"),
    ("thread_local", "the domain has no hidden state"),
    ("SystemTime", "the domain reads no clock"),
    ("Instant", "the domain reads no clock"),
    ("HashMap", "its order differs between replicas: use BTreeMap"),
    ("HashSet", "its order differs between replicas: use BTreeSet"),
    ("async", "the domain never awaits"),
    ("await", "the domain never awaits"),
];

/// What only one place may name, so that it can be replaced there.
const ONE_PLACE: [(&str, &str); 5] = [
    ("sled", "storage/src/sled_state"),
    ("raft_engine", "storage/src/engine_log"),
    ("bincode", "storage/src/codec"),
    ("turmoil", "simulations/"),
    ("command_fds", "actors/src/runtimes/process/"),
];

/// Folders whose code is only for tests and measurements.
const TEST_FOLDERS: [&str; 2] = ["tests/", "benches/"];

/// Suites for tests that live beside what they test.
const SUITES: [&str; 1] = ["storage/src/conformance"];

/// Returns the files that hold tests only: by folder, or declared under `#[cfg(test)]`.
fn test_files(files: &[File]) -> BTreeSet<&str> {
    let mut declared = BTreeSet::new();
    for file in files.iter().filter(|file| file.is(".rs")) {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let stem = name.trim_end_matches(".rs");
        let folder = if matches!(stem, "lib" | "main" | "mod") {
            folder.to_owned()
        } else {
            format!("{folder}/{stem}")
        };
        for module in test_modules(&code(&file.text)) {
            declared.insert(format!("{folder}/{module}.rs"));
            declared.insert(format!("{folder}/{module}/"));
        }
    }
    let in_tests = |path: &str| {
        TEST_FOLDERS.iter().any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")))
            || SUITES.iter().any(|suite| path.starts_with(suite))
            || declared.iter().any(|test| path == test || test.ends_with('/') && path.starts_with(test))
    };
    files.iter().map(|file| file.path.as_str()).filter(|path| in_tests(path)).collect()
}

fn check_unfinished(file: &File) -> Vec<Finding> {
    let code = code(&file.text);
    let lines =
        UNFINISHED.iter().flat_map(|word| lines_with(&code, word).into_iter().map(move |line| (word, line)));
    lines.map(|(word, line)| Finding::new(file, line, format!("{word} is unfinished work"))).collect()
}

fn check_outside_of_tests(file: &File, words: &[(&str, &str)]) -> Vec<Finding> {
    let code = without_tests(&code(&file.text));
    let lines =
        words.iter().flat_map(|word| lines_with(&code, word.0).into_iter().map(move |line| (word, line)));
    lines
        .map(|((word, why), line)| Finding::new(file, line, format!("`{word}` outside of a test: {why}")))
        .collect()
}

fn check_one_place(file: &File) -> Vec<Finding> {
    let code = code(&file.text);
    let elsewhere = ONE_PLACE.iter().filter(|(_, place)| !file.path.starts_with(place));
    let named = elsewhere
        .flat_map(|(word, place)| lines_with(&code, word).into_iter().map(move |line| (word, place, line)));
    named.map(|(word, place, line)| Finding::new(file, line, format!("only {place} names {word}"))).collect()
}

/// A `select!` polls in an order drawn by lot unless it says `biased;`, and then a seed does not replay.
fn check_select(file: &File) -> Vec<Finding> {
    let code = code(&file.text);
    let unbiased = code.match_indices("select!").filter(|(at, word)| {
        let body = code[at + word.len()..].trim_start().trim_start_matches(['{', '(']).trim_start();
        !body.starts_with("biased;")
    });
    let line = |at: usize| code[..at].lines().count().max(1);
    unbiased
        .map(|(at, _)| Finding::new(file, line(at), "`select!` without `biased;` draws its order by lot"))
        .collect()
}

/// An exception to a lint says why.
fn check_reasons(file: &File) -> Vec<Finding> {
    let code = code(&file.text);
    let mut findings = Vec::new();
    for word in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in code.match_indices(word) {
            let attribute = code[at..].split_once(']').map_or(&code[at..], |(attribute, _)| attribute);
            if !attribute.contains("reason") {
                findings.push(Finding::new(
                    file,
                    code[..at].lines().count().max(1),
                    "an exception to a lint without a reason",
                ));
            }
        }
    }
    findings
}

/// What belongs to one machine, or names a registry of packages by its host. Written in two halves, so that
/// this file does not hold them itself.
fn machine_words() -> Vec<String> {
    let halves = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("index.cra", "tes.io"),
        ("static.cra", "tes.io"),
        ("registry.npm", "js.org"),
        ("py", "pi.org"),
        ("artif", "actory"),
        ("jf", "rog"),
    ];
    halves.iter().map(|(first, second)| format!("{first}{second}")).collect()
}

fn check_machine(file: &File) -> Vec<Finding> {
    let words = machine_words();
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(word.as_str())) {
            findings.push(Finding::new(
                file,
                number + 1,
                format!("{word} belongs to a machine, not to the project"),
            ));
        }
    }
    findings
}

#[test]
fn nothing_is_left_unfinished() {
    assert_tidy(".rs", check_unfinished);
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    let files = files();
    let tests = test_files(&files);
    let shipped = files.iter().filter(|file| file.is(".rs") && !tests.contains(file.path.as_str()));
    assert_none(&shipped.flat_map(|file| check_outside_of_tests(file, &ONLY_IN_TESTS)).collect::<Vec<_>>());
}

#[test]
fn the_domain_is_pure() {
    let files = files();
    let tests = test_files(&files);
    let rules = files.iter().filter(|file| file.is(".rs") && file.path.starts_with("domain/src/"));
    let shipped: Vec<&File> = rules.filter(|file| !tests.contains(file.path.as_str())).collect();
    assert!(shipped.len() > 10, "the domain was not found");
    let findings = shipped.into_iter().flat_map(|file| check_outside_of_tests(file, &NOT_IN_DOMAIN));
    assert_none(&findings.collect::<Vec<_>>());
}

#[test]
fn what_may_be_replaced_is_named_in_one_place() {
    assert_tidy(".rs", check_one_place);
}

#[test]
fn every_select_is_biased() {
    assert_tidy(".rs", check_select);
}

#[test]
fn every_exception_to_a_lint_has_a_reason() {
    assert_tidy(".rs", check_reasons);
}

#[test]
fn nothing_names_a_machine_or_a_registry_host() {
    assert_tidy("", check_machine);
}

mod can_fail {
    use super::*;

    fn rust(text: &str) -> File {
        File::of("src/a.rs", text)
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_not_in_comments() {
        let file = rust("// todo!() later\nfn a() {\n    todo!()\n}\nfn b() { x.todo!(); dbg!(1); }\n");
        let lines: Vec<String> = check_unfinished(&file).iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("src/a.rs:3: "), "{lines:?}");
    }

    #[test]
    fn an_unwrap_is_found_unless_a_test_holds_it() {
        let file = rust(
            "fn a() { b.unwrap(); c.unwrap_or(1); \"d.unwrap()\"; }\n#[cfg(test)]\nmod t { fn e() { f.unwrap() } }\n",
        );
        assert_eq!(check_outside_of_tests(&file, &ONLY_IN_TESTS).len(), 1);
    }

    #[test]
    fn files_of_tests_are_known_by_folder_and_by_declaration() {
        let files = [
            File::of("domain/src/mailbox.rs", "#[cfg(test)]\nmod laws;\nmod lane;\n"),
            File::of("domain/src/mailbox/laws.rs", ""),
            File::of("domain/src/mailbox/lane.rs", ""),
            File::of("storage/tests/storage.rs", ""),
            File::of("src/fleet/mod.rs", "#[cfg(test)]\nmod t;"),
            File::of("src/fleet/t/deep.rs", ""),
            File::of("src/contests/a.rs", ""),
        ];
        let found: Vec<&str> = test_files(&files).into_iter().collect();
        assert_eq!(found, ["domain/src/mailbox/laws.rs", "src/fleet/t/deep.rs", "storage/tests/storage.rs"]);
    }

    #[test]
    fn a_clock_and_a_hash_map_in_the_domain_are_found() {
        let file = rust("use std::collections::HashMap;\nfn a() { std::time::Instant::now(); }\n");
        assert_eq!(check_outside_of_tests(&file, &NOT_IN_DOMAIN).len(), 2);
    }

    #[test]
    fn sled_named_elsewhere_is_found() {
        let text = "use sled::Db; // sled\nlet a = sled_state; bincode::b();\n";
        assert_eq!(check_one_place(&rust(text)).len(), 2);
        assert_eq!(check_one_place(&File::of("storage/src/sled_state/generation.rs", text)).len(), 1);
    }

    #[test]
    fn a_select_without_biased_is_found() {
        assert_eq!(check_select(&rust("a;\ntokio::select! {\n    b = c => d,\n}")).len(), 1);
        assert_eq!(
            check_select(&rust("tokio::select! {\n    biased; // first\n    b = c => d,\n}")).len(),
            0
        );
    }

    #[test]
    fn an_exception_without_a_reason_is_found() {
        assert_eq!(check_reasons(&rust("#[allow(clippy::a)]\nfn b() {}")).len(), 1);
        assert_eq!(check_reasons(&rust("#[expect(\n    clippy::a,\n    reason = \"c [d]\"\n)]")).len(), 0);
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        let text = format!("see {}main\nand https://{}/x\n", machine_words()[0], machine_words()[2]);
        assert_eq!(check_machine(&File::of("README.md", &text)).len(), 2);
    }
}
