//! The files of the repository, and what is found wrong in them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what programs made. Hidden ones are skipped too, but for those in [`HIDDEN`].
const MADE: [&str; 2] = ["target", "node_modules"];

/// Hidden folders that belong to the repository.
const HIDDEN: [&str; 3] = [".ci", ".cargo", ".config"];

/// One text file.
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl File {
    /// A file made for a test of a check.
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Tells whether its name ends so.
    pub(crate) fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }
}

/// Something wrong at a line; lines count from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    pub(crate) fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads every text file of the repository, sorted by path.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 50, "only {} files were found: a check of nothing proves nothing", files.len());
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        let hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_str());
        if kind.is_dir() && !hidden && !MADE.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && name != ".git" {
            // A file that went away meanwhile, or is no text, is not ours to judge.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
}

/// Fails with all findings at once.
pub(crate) fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} to tidy:\n  {}\n", lines.len(), lines.join("\n  "));
}

/// Runs a check over every file that ends so.
pub(crate) fn assert_tidy(ending: &str, check: impl Fn(&File) -> Vec<Finding>) {
    let files = files();
    let looked_at: Vec<&File> = files.iter().filter(|file| file.is(ending)).collect();
    assert!(!looked_at.is_empty(), "no file ends with {ending}: a check of nothing proves nothing");
    assert_none(&looked_at.into_iter().flat_map(check).collect::<Vec<_>>());
}
