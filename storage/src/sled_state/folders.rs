//! The folders of the state: one for each generation, and those that were damaged.

use std::path::PathBuf;

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
        std::fs::rename(&from, &to).map_err(|error| Error::io("move aside", from, error))?;
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

fn damaged_path(folder: &Folder, number: u64) -> PathBuf {
    folder.path().join(format!("state.damaged-{number}"))
}
