//! The few file operations that survive a power cut, in one place.
//!
//! A new file counts once its content is synced, it has its final name, and its folder is synced.
//! Every failure leaves the old file, or both; never a half one under the final name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Ending of files that were being written; whatever has it at a start is rubbish.
pub(crate) const TEMPORARY: &str = "tmp";

/// Writes a file that only its owner may read under its final name, so that it is there whole, or not at all.
///
/// # Errors
/// When the disk refuses; the old file is there then.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file_with(path, |file| file.write_all(bytes).map_err(|error| Error::io("write", path, error)))
}

/// As [`write_file`], with the content coming from `fill`.
pub(crate) fn write_file_with<T>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    let temporary = temporary_path(path);
    let written = fill_and_rename(&temporary, path, fill);
    if written.is_err() {
        // Best effort: the start removes what is left.
        let _ = fs::remove_file(&temporary);
    }
    let value = written?;
    sync_folder_of(path)?;
    Ok(value)
}

fn fill_and_rename<T>(
    temporary: &Path,
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut file = create_private(temporary).map_err(|error| Error::io("create", temporary, error))?;
    let value = fill(&mut file)?;
    file.sync_all().map_err(|error| Error::io("sync", temporary, error))?;
    fs::rename(temporary, path).map_err(|error| Error::io("rename", temporary, error))?;
    Ok(value)
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(TEMPORARY);
    path.with_file_name(name)
}

/// Opens a file for reading and writing that only its owner may touch, empty.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    private_options().truncate(true).open(path)
}

/// Opens or creates a file that only its owner may touch, keeping its content.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    private_options().truncate(false).open(path)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a folder that only its owner may enter, with its parents, and syncs the entry of each.
///
/// After an error, what was made and not synced is removed again, so that the next call syncs it.
///
/// # Errors
/// When the disk refuses, or a file is in the way.
pub fn create_folder(path: &Path) -> Result<(), Error> {
    create_levels(path, sync_folder_of)
}

/// One level after the other: a crash in between leaves at most the deepest one without its sync.
fn create_levels(path: &Path, mut sync_entry: impl FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let parents: Vec<_> = path.ancestors().skip(1).take_while(is_missing).collect();
    for folder in parents.into_iter().rev().chain([path]) {
        create_level(folder)?;
        sync_entry(folder).inspect_err(|_| {
            // Best effort: the sync failed already, and that is what the caller is told.
            let _ = fs::remove_dir(folder);
        })?;
    }
    Ok(())
}

fn create_level(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Somebody else was faster, or the path leads through `..`.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created.map_err(|error| Error::io("create folder", path, error)),
    }
}

/// Syncs the entry of `path`, or of the deepest folder above it that exists.
///
/// An earlier start may have ended between making that folder and syncing its entry. Where the folder
/// above it cannot be opened or synced at all, it was not us who made the entry.
pub(crate) fn sync_existing(path: &Path) -> Result<(), Error> {
    let Some(existing) = path.ancestors().find(|folder| folder.is_dir()) else { return Ok(()) };
    let existing = existing.canonicalize().map_err(|error| Error::io("look up", existing, error))?;
    let Some(parent) = existing.parent() else { return Ok(()) };
    match File::open(parent).and_then(|folder| folder.sync_all()) {
        Err(error) if !cannot_sync(&error) => Err(Error::io("sync folder", parent, error)),
        _ => Ok(()),
    }
}

/// Whether an error says that a folder is not ours to sync, or on a file system that has no such call.
fn cannot_sync(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::InvalidInput | Kind::Unsupported
    )
}

/// Makes the entries of a folder (new, renamed and removed names) durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io("sync folder", path, error))
}

fn sync_folder_of(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Removes a file; one that is absent is fine. That it stays gone after a power cut is not promised.
///
/// # Errors
/// When the disk refuses.
pub fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Removes a folder with all it holds; one that is absent is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove folder", path, error)),
        _ => Ok(()),
    }
}

/// Returns the file names in a folder, sorted, because the order of a folder differs between machines.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(path).map_err(|error| Error::io("list", path, error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", path, error))?;
        // A name that is not text is not ours.
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_new_level_is_synced_before_the_next_is_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        let mut synced = Vec::new();
        let mut watch = |folder: &Path| {
            assert!(folder.is_dir() && fs::read_dir(folder).unwrap().next().is_none());
            synced.push(folder.to_owned());
            sync_folder_of(folder)
        };
        create_levels(&path, &mut watch).unwrap();
        create_levels(&path, &mut watch).unwrap();
        assert_eq!(synced, ["a", "a/b", "a/b/c"].map(|name| root.path().join(name)));
    }

    #[test]
    fn folder_whose_sync_failed_is_made_and_synced_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let failing = |folder: &Path| match folder == path {
            true => Err(Error::io("sync folder", folder, io::Error::other("broken"))),
            false => Ok(()),
        };
        create_levels(&path, failing).unwrap_err();
        assert!(root.path().join("a").is_dir() && !path.exists());
        let mut synced = 0;
        create_levels(&path, |_| {
            synced += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(synced, 1);
    }

    #[test]
    fn file_in_the_way_is_named_with_its_cause() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "").unwrap();
        let refused = create_folder(&root.path().join("a/b/c")).unwrap_err().to_string();
        assert!(refused.starts_with("cannot create folder "), "{refused}");
        assert!(refused.ends_with("a/b: Not a directory (os error 20)"), "{refused}");
        let refused = create_folder(&root.path().join("a")).unwrap_err().to_string();
        assert!(refused.ends_with("a: File exists (os error 17)"), "{refused}");
    }

    #[test]
    fn existing_entries_are_synced_wherever_the_path_begins_to_exist() {
        let root = tempfile::tempdir().unwrap();
        sync_existing(root.path()).unwrap();
        sync_existing(&root.path().join("not/there")).unwrap();
        sync_existing(Path::new("not-there")).unwrap();
        sync_existing(Path::new("/")).unwrap();
    }
}
