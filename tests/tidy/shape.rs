//! The shape of source files: a module doc first, one idea each.

use crate::repository::{File, Finding, assert_tidy};

/// Lines after which a file holds a second idea that wants a room of its own.
const LINES_MAX: usize = 600;

/// A module doc of fewer letters than this says nothing.
const DOC_LETTERS_MIN: usize = 8;

fn check_doc(file: &File) -> Vec<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//!").map(|doc| doc.chars().filter(|c| c.is_alphabetic()).count());
    match said {
        None => vec![Finding::new(file, 1, "begin with a module doc: `//! What this is for.`")],
        Some(letters) if letters < DOC_LETTERS_MIN => {
            vec![Finding::new(file, 1, "the module doc does not say what this is for")]
        }
        Some(_) => Vec::new(),
    }
}

fn check_length(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        file,
        LINES_MAX,
        format!("{lines} lines: split it, a second idea wants a room of its own"),
    )]
}

#[test]
fn every_source_file_begins_with_a_module_doc() {
    assert_tidy(".rs", check_doc);
}

#[test]
fn no_source_file_outgrows_one_idea() {
    assert_tidy(".rs", check_length);
}

#[test]
fn a_file_without_a_doc_is_found() {
    assert_eq!(check_doc(&File::of("a.rs", "use b;\n//! Too late, whatever it says.\n")).len(), 1);
    assert_eq!(check_doc(&File::of("a.rs", "//! x\n")).len(), 1);
    assert_eq!(check_doc(&File::of("a.rs", "")).len(), 1);
    assert_eq!(check_doc(&File::of("a.rs", "//! Says what this is for.\n")).len(), 0);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(check_length(&File::of("a.rs", &"\n".repeat(601))).len(), 1);
    assert_eq!(check_length(&File::of("a.rs", &"\n".repeat(600))).len(), 0);
}
