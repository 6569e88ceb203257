//! Notes about changes: one file for each thing that a user sees.

use crate::repository::{File, Finding, assert_none, files};

/// The words a note may begin with.
const KINDS: [&str; 4] = ["added", "changed", "fixed", "breaking"];

fn check(file: &File) -> Vec<Finding> {
    let kind = file.text.split_once(": ").map_or("", |(kind, _)| kind);
    if !file.is(".md") {
        vec![Finding::new(file, 1, "a note is a Markdown file")]
    } else if !KINDS.contains(&kind) {
        vec![Finding::new(file, 1, format!("begin with one of {}, as in `added: …`", KINDS.join(", ")))]
    } else {
        Vec::new()
    }
}

#[test]
fn notes_of_changes_begin_with_their_kind() {
    let files = files();
    let notes: Vec<&File> =
        files.iter().filter(|file| file.path.starts_with("changes/unreleased/")).collect();
    assert_none(&notes.into_iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn a_note_of_no_kind_is_found() {
    assert_eq!(check(&File::of("changes/unreleased/a.md", "added: a thing\n")).len(), 0);
    assert_eq!(check(&File::of("changes/unreleased/a.md", "improved: a thing\n")).len(), 1);
    assert_eq!(check(&File::of("changes/unreleased/a.md", "Added a thing\n")).len(), 1);
    assert_eq!(check(&File::of("changes/unreleased/a.txt", "added: a thing\n")).len(), 1);
}
