//! The folders of the state: one for each generation, and those that were damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{durable, error::Error, folder::Folder};

/// Damaged states that are kept for somebody to look at. A disk that fails at every start must not fill up
/// with them.
const DAMAGED_KEPT: usize = 2;

/// Where a generation is.
pub(super) fn path(folder: &Folder, number: u64) -> PathBuf {
    folder.path().join(format!("state-{number}"))
}

/// Numbers of the generations that are there.
pub(super) fn generations(folder: &Folder) -> Result<Vec<u64>, Error> {
    numbered(folder, "state-")
}

/// Numbers of the damaged states that were moved aside.
pub(super) fn damaged(folder: &Folder) -> Result<Vec<u64>, Error> {
    numbered(folder, "state.damaged-")
}

fn numbered(folder: &Folder, prefix: &str) -> Result<Vec<u64>, Error> {
    let names = durable::names(folder.path())?;
    Ok(names.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect())
}

/// Removes what a crash left of a replacement, before or after its marker.
pub(super) fn remove_others(folder: &Folder, keep: u64) -> Result<(), Error> {
    for number in generations(folder)?.into_iter().filter(|number| *number != keep) {
        durable::remove_folder(&path(folder, number))?;
    }
    Ok(())
}

/// Moves damaged generations aside, and returns where the last of them went.
pub(super) fn move_aside(folder: &Folder, numbers: &[u64]) -> Result<Option<PathBuf>, Error> {
    let mut moved_to = None;
    for number in numbers {
        let (from, to) = (path(folder, *number), damaged_path(folder, *number));
        durable::remove_folder(&to)?;
        fs::rename(&from, &to).map_err(|error| Error::io("move aside", from, error))?;
        moved_to = Some(to);
    }
    let mut kept = damaged(folder)?;
    kept.sort_unstable_by(|a, b| b.cmp(a));
    for number in kept.into_iter().skip(DAMAGED_KEPT) {
        durable::remove_folder(&damaged_path(folder, number))?;
    }
    durable::sync_folder(folder.path())?;
    Ok(moved_to)
}

/// Returns how much the files of a generation take.
pub(super) fn bytes(path: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for (file, length) in files(path)? {
        bytes += length.map_or_else(|| self::bytes(&file), Ok)?;
    }
    Ok(bytes)
}

/// Copies the files of a generation to where there is none. Durable on return.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    // A crash may have left the beginning of one.
    durable::remove_folder(to)?;
    copy_into(from, to)
}

fn copy_into(from: &Path, to: &Path) -> Result<(), Error> {
    durable::create_folder(to)?;
    for (file, length) in files(from)? {
        let copy = to.join(file.file_name().unwrap_or_default());
        if length.is_none() {
            copy_into(&file, &copy)?;
            continue;
        }
        let synced = fs::copy(&file, &copy).and_then(|_| File::open(&copy)?.sync_all());
        synced.map_err(|error| Error::io("copy", &file, error))?;
    }
    durable::sync_folder(to)
}

/// Removes a generation whose files are still held open, and frees their space all the same.
pub(super) fn discard(path: &Path) -> Result<(), Error> {
    for (file, length) in files(path)? {
        if length.is_some() {
            let emptied = File::options().write(true).open(&file).and_then(|file| file.set_len(0));
            emptied.map_err(|error| Error::io("empty", &file, error))?;
        }
    }
    durable::remove_folder(path)
}

/// Lists what is in a folder, with the length of each file; a folder in it has none.
fn files(path: &Path) -> Result<Vec<(PathBuf, Option<u64>)>, Error> {
    let looked = durable::names(path)?.into_iter().map(|name| {
        let path = path.join(name);
        let meta = fs::metadata(&path).map_err(|error| Error::io("look up", &path, error))?;
        Ok((path, meta.is_file().then_some(meta.len())))
    });
    looked.collect()
}

fn damaged_path(folder: &Folder, number: u64) -> PathBuf {
    folder.path().join(format!("state.damaged-{number}"))
}
