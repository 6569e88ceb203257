//! Finds the files of a glob, without looking into folders that are left out.

use std::path::{Component, Path};

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use super::source::Fault;

/// The most files and folders that one glob looks at. A walk that meets more began in the wrong folder, such
/// as `/`; a higher number lets a slip keep a disk busy for minutes before anything is said.
pub const WALK_ENTRIES_MAX: usize = 2_000_000;

/// What to look for and where; all texts are rendered.
pub(super) struct Search<'a> {
    pub(super) root: &'a Path,
    pub(super) pattern: &'a str,
    pub(super) exclude: &'a [String],
    pub(super) hidden: bool,
}

/// Reads a pattern.
pub(super) fn glob(pattern: &str) -> Result<Glob, Fault> {
    let help = "** stands for any number of folders, * and ? for letters without /, {a,b} for either";
    if pattern.starts_with('/') || Path::new(pattern).components().any(|part| part == Component::ParentDir) {
        return Err(Fault::new(format!("the pattern {pattern:?} leaves the folder in which it looks"))
            .help("put the folder into `root`: for_each: {glob: {root: FOLDER, pattern: ..}}"));
    }
    GlobBuilder::new(pattern.strip_prefix("./").unwrap_or(pattern)).literal_separator(true).build().map_err(
        |error| Fault::new(format!("{pattern:?} is no pattern for files: {}", error.kind())).help(help),
    )
}

/// Returns the files that match, as sorted paths relative to the root with `/` between folders.
///
/// Folders whose name begins with a dot are skipped unless `hidden`; symbolic links are not followed.
pub(super) fn files(search: &Search<'_>) -> Result<Vec<String>, Fault> {
    let wanted = glob(search.pattern)?.compile_matcher();
    let excluded = excluded(search.exclude)?;
    let kept = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let hidden = entry.depth() > 0 && entry.file_type().is_dir() && name.starts_with('.');
        let path = entry.path().strip_prefix(search.root).unwrap_or(entry.path());
        (search.hidden || !hidden) && (entry.depth() == 0 || !excluded.is_match(path))
    };
    let mut found = Vec::new();
    for (count, entry) in WalkDir::new(search.root).into_iter().filter_entry(kept).enumerate() {
        let entry = entry.map_err(|error| unreadable(search.root, &error))?;
        if count >= WALK_ENTRIES_MAX {
            let message =
                format!("the folder {} holds more than {WALK_ENTRIES_MAX} files", search.root.display());
            return Err(Fault::new(message)
                .help("look in a smaller folder with `root`, or leave folders out with `exclude`"));
        }
        if entry.file_type().is_file() {
            found.extend(relative(search.root, &entry, &wanted)?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads the patterns to leave out. One without `/` counts at every depth; `folder/` and `folder/**` leave
/// out the folder itself, so that it is not even opened.
fn excluded(patterns: &[String]) -> Result<GlobSet, Fault> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_end_matches("/**").trim_end_matches('/');
        set.add(glob(trimmed)?);
        if !trimmed.contains('/') {
            set.add(glob(&format!("**/{trimmed}"))?);
        }
    }
    set.build().map_err(|error| {
        Fault::new(format!("cannot use `exclude`: {error}")).help("use fewer or simpler patterns")
    })
}

fn relative(root: &Path, entry: &DirEntry, wanted: &GlobMatcher) -> Result<Option<String>, Fault> {
    let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
    if !wanted.is_match(path) {
        return Ok(None);
    }
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    match parts {
        Some(parts) => Ok(Some(parts.join("/"))),
        None => Err(Fault::new(format!("the name of the file {} is not UTF-8", path.display()))
            .help("rename it, or leave it out with `exclude`")),
    }
}

fn unreadable(root: &Path, error: &walkdir::Error) -> Fault {
    let path = error.path().unwrap_or(root).display();
    let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    Fault::new(format!("cannot look into {path}: {why}")).help(
        "check `root`, which is relative to the fleet file's folder; folders that you may not \
               read can be left out with `exclude`",
    )
}
