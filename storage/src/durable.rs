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

/// Writes a file under its final name so that it is there whole, or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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

/// Creates a folder that only its owner may enter, with its parents, and syncs its entry.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::io("create folder", path, error))?;
    sync_folder_of(path)
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

/// Removes a file; one that is absent is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
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
