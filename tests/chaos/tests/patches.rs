//! The patches by which `mutants.sh` builds a tree with bugs in it fit the tree as it is.
//!
//! A tree that changes under a patch is otherwise noticed by whoever runs the mutants next, which is seldom.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the workspace lies that the patches are for.
fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the patches by name.
fn patches() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let mut patches: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    patches.sort();
    patches
}

/// Copies the files that patches name into a folder of its own, where no repository is around them.
fn copy_of_what_they_change(into: &Path) {
    for patch in patches() {
        let text = std::fs::read_to_string(patch).unwrap();
        for path in text.lines().filter_map(|line| line.strip_prefix("+++ b/")) {
            let to = into.join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(tree().join(path), to).unwrap();
        }
    }
}

fn apply(patch: &Path, to: &Path) -> Result<(), String> {
    let mut git = Command::new("git");
    git.arg("apply").arg(patch).current_dir(to).env("GIT_CEILING_DIRECTORIES", to.parent().unwrap());
    let output = git.output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn every_patch_fits_the_tree_beside_the_others() {
    let folder = tempfile::tempdir().unwrap();
    copy_of_what_they_change(folder.path());
    let patches = patches();
    assert!(patches.len() >= 4, "{patches:?}");
    for patch in patches {
        let before = said(folder.path());
        if let Err(why) = apply(&patch, folder.path()) {
            panic!("{}: {why}mutants.sh says how it is made again", patch.display());
        }
        assert!(said(folder.path()) > before, "{} changed nothing", patch.display());
    }
}

#[test]
fn a_patch_that_does_not_fit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    copy_of_what_they_change(folder.path());
    let patch = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants/choose-by-environment.patch");
    apply(&patch, folder.path()).unwrap();
    assert!(apply(&patch, folder.path()).is_err(), "it was applied twice");
}

/// Counts the places in a copy that ask for a bug of this harness; the patches add some each.
fn said(folder: &Path) -> usize {
    let mut said = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                said += text.matches("CHAOS_MUTANT").count();
                said += text.matches("mutant(Mutant::").count();
            }
        }
    }
    said
}

#[test]
fn every_bug_of_the_script_is_one_that_the_tree_or_a_patch_knows() {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants.sh")).unwrap();
    let declared = std::fs::read_to_string(tree().join("domain/src/mutants.rs")).unwrap();
    let patched: String = patches().iter().map(|patch| std::fs::read_to_string(patch).unwrap()).collect();
    let names = script.lines().filter_map(|line| Some(line.trim().strip_prefix('[')?.split_once("]=")?.0));
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        let quoted = format!("\"{name}\"");
        assert!(declared.contains(&quoted) || patched.contains(&quoted), "nobody knows {name}");
    }
}
