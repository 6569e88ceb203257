//! Storage in memory: deterministic, and as unreliable as a test asks for.
//!
//! A [`MemoryDisk`] is the machine's disk; it survives [`MemoryDisk::crash`], while the [`Storage`] that
//! was opened on it does not. Without faults every write is durable at once and callbacks run inside the
//! call. There are no threads, no clock and no chance: what survives a crash is what the caller says.

mod blobs;
mod disk;
mod log;
mod snapshots;
mod state;

use std::sync::Arc;

use parking_lot::Mutex;

use self::{blobs::MemoryBlobs, disk::Disk, log::MemoryLog, snapshots::MemorySnapshots, state::MemoryState};
use crate::{
    Storage,
    error::{Error, Place},
    log::Record,
    open::{Opened, Repair},
    snapshot_format::Decoder,
};

pub use disk::Part;

/// A disk that outlives the storage on it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

/// A disk as one opened storage sees it; worthless after a crash or the next opening.
#[derive(Clone)]
struct Session {
    disk: Arc<Mutex<Disk>>,
    epoch: u64,
}

impl Session {
    /// Runs `call` on the disk if this session is still the current one.
    fn with<T>(&self, call: impl FnOnce(&mut Disk) -> Result<T, Error>) -> Result<T, Error> {
        let mut disk = self.disk.lock();
        if disk.epoch != self.epoch {
            return Err(Error::Closed);
        }
        call(&mut disk)
    }
}

impl MemoryDisk {
    /// Creates an empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the disk as a start of the node does; a storage that was open before is closed, and what
    /// it had queued is written first, as a clean stop does.
    #[must_use]
    pub fn open(&self) -> Storage {
        let epoch = self.0.lock().next_epoch();
        let session = Session { disk: Arc::clone(&self.0), epoch };
        Storage {
            log: Arc::new(MemoryLog(session.clone())),
            state: Arc::new(MemoryState(session.clone())),
            snapshots: Arc::new(MemorySnapshots(session.clone())),
            blobs: Arc::new(MemoryBlobs(session)),
        }
    }

    /// Opens the disk with the checks and the repair that [`crate::open()`] makes.
    ///
    /// # Errors
    ///
    /// As [`crate::open()`], but for the lock.
    pub fn open_checked(&self) -> Result<Opened, Error> {
        let storage = self.open();
        let mut disk = self.0.lock();
        disk.log.verify()?;
        let latest = disk.latest_snapshot();
        let mut repaired = None;
        // A crash between keeping a received snapshot and installing it, with the log purged already.
        let installs = |disk: &Disk| {
            let latest = latest.as_ref().map(|(info, _)| info.applied).filter(|at| *at > disk.state.applied);
            let reaches = |applied| crate::open::reaches(disk.log.bounds(), applied);
            !reaches(disk.state.applied) && latest.is_some_and(reaches)
        };
        let found = match disk.state.verify() {
            Ok(()) if installs(&disk) => Err(Error::damaged(Place::State, "the log begins later")),
            found => found,
        };
        if let Err(error) = found {
            let restored_through = latest.as_ref().map_or(0, |(info, _)| info.applied);
            let bytes = latest.as_ref().map(|(_, bytes)| bytes.clone());
            let rows = bytes.map(|bytes| Decoder::open(std::io::Cursor::new(bytes))).transpose()?;
            disk.state.replace(restored_through, rows.into_iter().flatten())?;
            repaired = Some(Repair { reason: error.to_string(), moved_to: None, restored_through });
        }
        let snapshot = latest.map(|(info, _)| info.applied);
        crate::open::check(disk.log.bounds(), disk.state.applied, snapshot)?;
        drop(disk);
        Ok(Opened { storage, repaired })
    }

    /// Loses power: the open storage refuses every call from here on, its waiting callbacks never run,
    /// and of the writes that were not synced only the first `keep(count)` survive.
    ///
    /// A record and a note are one write each, so a number in the middle tears a batch. It is always the first: the log
    /// on a real disk ends at what it cannot read. A loss also undoes removals of files that nothing has made durable.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let lost = {
            let mut disk = self.0.lock();
            disk.epoch += 1;
            disk.struck = false;
            let unsynced = disk.log.unsynced();
            let kept = if unsynced == 0 { 0 } else { keep(unsynced) };
            if kept < unsynced {
                disk.bring_back();
            }
            disk.log.lose(kept)
        };
        // Outside of the lock: dropping a callback may drop whatever it captured.
        drop(lost);
    }

    /// Makes the next sync fail with an IO error, whichever part it belongs to.
    pub fn fail_next_sync(&self) {
        self.0.lock().faults.fail_next_sync = true;
    }

    /// Makes the next read of a part fail with an IO error; `None` takes that back.
    pub fn fail_next_read(&self, part: Option<Part>) {
        self.0.lock().faults.fail_next_read = part;
    }

    /// Loses power in the next write of a part that is durable on return, which counts or does not; `None` takes that
    /// back. The appends and notes of the log are no such writes.
    pub fn cut_next_write(&self, cut: Option<(Part, bool)>) {
        self.0.lock().faults.cut = cut;
    }

    /// Tells whether the power went in a write, and nobody has taken note with [`MemoryDisk::crash`].
    #[must_use]
    pub fn has_lost_power(&self) -> bool {
        self.0.lock().struck
    }

    /// Loses files while nobody has them open: the end of the log, which `position` says, all snapshots, the state, or
    /// the blob at `position`; returns whether there was one.
    pub fn lose_files(&self, part: Part, position: usize) -> bool {
        self.0.lock().lose_files(part, position)
    }

    /// Leaves room for `bytes` more, or for anything with `None`. Removing things gives nothing back.
    pub fn limit_space(&self, bytes: Option<u64>) {
        let mut disk = self.0.lock();
        disk.faults.space_left = bytes;
        disk.faults.refused = false;
    }

    /// Holds the syncs of the log: records can be read, and their callbacks wait for
    /// [`MemoryDisk::release`]. A truncation or a purge syncs what waits, because it is durable on return.
    pub fn hold_syncs(&self) {
        self.0.lock().faults.hold = true;
    }

    /// Lets held syncs happen, and runs their callbacks in order.
    pub fn release(&self) {
        let answers = {
            let mut disk = self.0.lock();
            disk.faults.hold = false;
            disk.settle()
        };
        disk::answer(answers);
    }

    /// Returns how many writes of the log wait for a sync.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.0.lock().log.unsynced()
    }

    /// Returns records of the log, whoever has it open, for somebody who watches; none when one of them is damaged.
    #[must_use]
    pub fn peek(&self, from: u64, to_exclusive: u64) -> Vec<Record> {
        self.0.lock().log.read(from, to_exclusive, usize::MAX).unwrap_or_default()
    }

    /// Returns how many bits a part stores.
    #[must_use]
    pub fn bits(&self, part: Part) -> usize {
        self.0.lock().bits(part)
    }

    /// Flips one bit of what `part` stores, counted over all its values; returns whether there was one.
    pub fn flip_bit(&self, part: Part, position: usize) -> bool {
        self.0.lock().flip_bit(part, position)
    }
}
