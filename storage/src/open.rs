//! Opens a data folder: in order, checked against each other, with the repairs that lose nothing.
//!
//! ```text
//!  lock ─► free space ─► snapshots ─► log (refused below its floor) ─► state (repaired) ─► blobs ─► cross-check
//! ```
//!
//! The state is the only part that is repaired here, because it can be rebuilt from the latest snapshot
//! and the log. A log that misses acknowledged records is refused: that is for people or for the cluster.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Storage,
    blob_files::BlobFiles,
    engine_log::{EngineLog, LogOptions},
    error::Error,
    folder::Folder,
    log::{Bounds, Log},
    room::{RoomOptions, RoomWatch},
    sled_state::{Found, SledState, Verify},
    snapshot_files::SnapshotFiles,
    snapshots::Snapshots,
    state_store::StateStore,
};

/// How a data folder is opened; the defaults suit a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the disk counts as scarce.
    pub room: RoomOptions,
    /// The log.
    pub log: LogOptions,
    /// How much of the state is read through.
    pub verify: Verify,
}

/// A data folder that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its parts.
    pub storage: Storage,
    /// What had to be repaired; worth a warning.
    pub repaired: Option<Repair>,
}

/// A state that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was wrong with it.
    pub reason: String,
    /// Where the damaged files are.
    pub moved_to: Option<PathBuf>,
    /// The index of the snapshot it was rebuilt from, 0 without one; the log holds what follows.
    pub restored_through: u64,
}

/// Opens the data folder at `path`, creating it on the first start.
///
/// # Errors
///
/// [`Error::Foreign`] for a folder with content that is not ours, which is left as it is;
/// [`Error::Locked`] while another process uses it; [`Error::LogShort`] and [`Error::LogHole`] when
/// acknowledged records are missing and this node must not go on under its old id; [`Error::Damaged`]
/// for a log that cannot be read.
pub fn open(path: &Path, options: &Options) -> Result<Opened, Error> {
    let folder = Folder::open(path)?;
    let room = Arc::new(RoomWatch::open(folder.path().to_owned(), folder.ballast(), options.room));
    let snapshots = SnapshotFiles::open(&folder, Arc::clone(&room))?;
    let log = EngineLog::open(&folder, Arc::clone(&room), options.log)?;
    let bounds = log.bounds();

    let (state, repaired) = match SledState::open(&folder, &room, &options.verify)? {
        Found::Whole(state) if reaches(bounds, state.applied()) => (*state, None),
        // A crash between keeping a received snapshot and installing it, with the log purged already.
        Found::Whole(state) => {
            let reason = format!("it is applied through {} and the log begins later", state.applied());
            install_latest(*state, &snapshots, bounds, reason)?
        }
        Found::Damaged(reason) => {
            let (state, repair) = rebuild(&folder, &room, &snapshots, reason)?;
            (state, Some(repair))
        }
    };
    // Reading a snapshot takes as long as it is large, and the log alone is mostly enough.
    if check(bounds, state.applied(), None).is_err() {
        let latest = snapshots.latest()?.map(|snapshot| snapshot.info.applied);
        check(bounds, state.applied(), latest)?;
    }

    let blobs = BlobFiles::open(&folder, room)?;
    let storage = Storage {
        log: Arc::new(log),
        state: Arc::new(state),
        snapshots: Arc::new(snapshots),
        blobs: Arc::new(blobs),
    };
    Ok(Opened { storage, repaired })
}

fn rebuild(
    folder: &Folder,
    room: &Arc<RoomWatch>,
    snapshots: &SnapshotFiles,
    reason: String,
) -> Result<(SledState, Repair), Error> {
    let latest = snapshots.latest()?;
    let restored_through = latest.as_ref().map_or(0, |snapshot| snapshot.info.applied);
    tracing::warn!(%reason, restored_through, "the state is damaged and is rebuilt");
    let rows = &mut latest.into_iter().flatten();
    let (state, moved_to) = SledState::rebuild(folder, room, restored_through, rows)?;
    Ok((state, Repair { reason, moved_to, restored_through }))
}

fn install_latest(
    state: SledState,
    snapshots: &SnapshotFiles,
    log: Bounds,
    reason: String,
) -> Result<(SledState, Option<Repair>), Error> {
    let applied = state.applied();
    let Some(mut snapshot) = snapshots.latest()?.filter(|snapshot| snapshot.info.applied > applied) else {
        // The cross-check says what is wrong.
        return Ok((state, None));
    };
    let restored_through = snapshot.info.applied;
    if !reaches(log, restored_through) {
        return Ok((state, None));
    }
    tracing::warn!(%reason, restored_through, "the latest snapshot is installed");
    state.replace(restored_through, &mut snapshot)?;
    Ok((state, Some(Repair { reason, moved_to: None, restored_through })))
}

/// Whether the log continues a state that is applied through `applied`.
pub(crate) fn reaches(log: Bounds, applied: u64) -> bool {
    log.first.is_none_or(|first| first <= applied.saturating_add(1))
}

/// Refuses parts that cannot belong together.
///
/// The log reaches at least as far as the state, because a record is applied after it is durable. The
/// exception is a snapshot from another node, which is kept first, then installed, and replaces the log
/// last: a crash in between leaves a log that ends earlier, and the snapshot covers what it lacks.
pub(crate) fn check(log: Bounds, applied: u64, snapshot: Option<u64>) -> Result<(), Error> {
    if !reaches(log, applied) {
        return Err(Error::LogHole { applied, first: log.first.unwrap_or(0) });
    }
    let covered = log.last.max(snapshot).unwrap_or(0);
    if covered < applied {
        return Err(Error::LogShort { floor: applied, last: log.last });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(first: u64, last: u64) -> Bounds {
        Bounds { first: Some(first), last: Some(last) }
    }

    #[test]
    fn parts_that_belong_together_are_accepted() {
        check(Bounds::default(), 0, None).unwrap();
        check(log(1, 10), 0, None).unwrap();
        check(log(1, 10), 10, None).unwrap();
        check(log(8, 10), 7, None).unwrap();
        check(Bounds::default(), 50, Some(50)).unwrap();
        check(log(1, 10), 50, Some(50)).unwrap();
    }

    #[test]
    fn log_behind_the_state_is_refused_unless_a_snapshot_covers_it() {
        assert!(matches!(check(log(1, 9), 10, None), Err(Error::LogShort { floor: 10, last: Some(9) })));
        assert!(matches!(
            check(Bounds::default(), 10, Some(9)),
            Err(Error::LogShort { floor: 10, last: None })
        ));
    }

    #[test]
    fn hole_between_state_and_log_is_refused() {
        assert!(matches!(check(log(9, 10), 7, Some(7)), Err(Error::LogHole { applied: 7, first: 9 })));
    }
}
