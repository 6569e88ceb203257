//! What is on the disk, and the faults it has.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{log::LogData, state::StateData};
use crate::{
    blobs::BlobId,
    error::Error,
    log::{Done, Room},
    snapshot_format::Decoder,
    snapshots::SnapshotInfo,
};

/// Below this much space no new work should be admitted.
const RESERVE_BYTES: u64 = 64 * 1024;

/// A part of the storage that can be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The records of the log.
    Log,
    /// The rows of the state.
    State,
    /// The snapshots.
    Snapshots,
    /// The blobs.
    Blobs,
}

/// A value and the checksum it was written with.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    bytes: Bytes,
    crc: u32,
}

impl Cell {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { crc: crc32fast::hash(&bytes), bytes }
    }

    /// Returns the value if it is what was written.
    pub(super) fn get(&self) -> Option<Bytes> {
        (crc32fast::hash(&self.bytes) == self.crc).then(|| self.bytes.clone())
    }
}

/// Faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) fail_next_sync: bool,
    pub(super) fail_next_read: Option<Part>,
    /// Power goes in the next write of a part that is durable on return, and whether that write still counts.
    pub(super) cut: Option<(Part, bool)>,
    pub(super) hold: bool,
    pub(super) space_left: Option<u64>,
    /// A write was refused since the space was last set.
    pub(super) refused: bool,
}

impl Faults {
    /// Takes `bytes` of the space that is left.
    pub(super) fn take_space(&mut self, bytes: usize) -> Result<(), Error> {
        let Some(left) = self.space_left else { return Ok(()) };
        let needed = bytes as u64;
        let Some(after) = left.checked_sub(needed) else {
            self.refused = true;
            return Err(Error::NoSpace { needed, available: left });
        };
        self.space_left = Some(after);
        Ok(())
    }

    /// Syncs, or fails as asked.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.fail_next_sync) {
            return Err(Error::fatal("injected sync failure"));
        }
        Ok(())
    }

    /// Reads, or fails as asked.
    pub(super) fn read(&mut self, part: Part) -> Result<(), Error> {
        if self.fail_next_read.take_if(|failing| *failing == part).is_some() {
            let cause = std::io::Error::other("injected read failure");
            return Err(Error::io("read", format!("{part:?}"), cause));
        }
        Ok(())
    }

    pub(super) fn room(&self) -> Room {
        match self.space_left {
            _ if self.refused => Room::Exhausted,
            Some(left) if left < RESERVE_BYTES => Room::Reserve,
            _ => Room::Ample,
        }
    }
}

/// Everything that survives a crash.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) epoch: u64,
    pub(super) faults: Faults,
    pub(super) log: LogData,
    pub(super) state: StateData,
    pub(super) snapshots: BTreeMap<u64, Bytes>,
    pub(super) blobs: BTreeMap<BlobId, Bytes>,
    /// Files that were removed, in folders that were not synced since: after a power loss they are there again.
    pub(super) removed: Removed,
    /// Whether the power went in the middle of a write.
    pub(super) struck: bool,
}

/// Files that are gone as long as the power is there.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) snapshots: BTreeMap<u64, Bytes>,
    pub(super) blobs: BTreeMap<BlobId, Bytes>,
}

/// A callback and what it is told, to be run when the disk is not locked.
pub(super) type Answer = (Done, Result<(), Error>);

/// Runs callbacks in order.
pub(super) fn answer(answers: Vec<Answer>) {
    for (done, outcome) in answers {
        done(outcome);
    }
}

impl Disk {
    /// Begins a new session after a clean stop of the old one.
    pub(super) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        let kept = if self.log.has_ended() { 0 } else { self.log.unsynced() };
        self.log.lose(kept);
        self.state.revive();
        self.epoch
    }

    /// Syncs what the log has queued, unless syncs are held.
    pub(super) fn settle(&mut self) -> Vec<Answer> {
        if self.faults.hold || self.log.unsynced() == 0 && !self.log.has_waiting() {
            return Vec::new();
        }
        self.settle_now()
    }

    /// Syncs what the log has queued.
    pub(super) fn settle_now(&mut self) -> Vec<Answer> {
        match self.faults.sync() {
            Ok(()) => self.log.sync(),
            Err(error) => self.log.end(&error),
        }
    }

    /// Returns the newest snapshot that is whole.
    pub(super) fn latest_snapshot(&self) -> Option<(SnapshotInfo, Bytes)> {
        self.snapshots.iter().rev().find_map(|(applied, bytes)| {
            let info = Decoder::open(bytes.as_ref()).and_then(Decoder::verify).ok()?;
            (info.applied == *applied).then(|| (info, bytes.clone()))
        })
    }

    /// Does a write that is durable on return, unless the power goes in it.
    pub(super) fn write<T>(
        &mut self,
        part: Part,
        write: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some((_, counts)) = self.faults.cut.take_if(|(of, _)| *of == part) else { return write(self) };
        self.struck = true;
        self.epoch += 1;
        if counts {
            write(self)?;
        }
        Err(Error::Closed)
    }

    /// Puts files back whose removal was not durable.
    pub(super) fn bring_back(&mut self) {
        let Removed { snapshots, blobs } = std::mem::take(&mut self.removed);
        for (applied, bytes) in snapshots {
            self.snapshots.entry(applied).or_insert(bytes);
        }
        for (id, bytes) in blobs {
            self.blobs.entry(id).or_insert(bytes);
        }
    }

    /// Returns how many bits a part stores.
    pub(super) fn bits(&mut self, part: Part) -> usize {
        self.values(part).iter().map(|value| value.len() * 8).sum()
    }

    pub(super) fn flip_bit(&mut self, part: Part, position: usize) -> bool {
        flip(self.values(part), position)
    }

    fn values(&mut self, part: Part) -> Vec<&mut Bytes> {
        match part {
            Part::Log => self.log.cells().collect(),
            Part::State => self.state.cells().collect(),
            Part::Snapshots => self.snapshots.values_mut().collect(),
            Part::Blobs => self.blobs.values_mut().collect(),
        }
    }

    /// Loses files as nobody may: the end of the log, all snapshots, the state, or one blob. Returns whether there
    /// was something.
    pub(super) fn lose_files(&mut self, part: Part, position: usize) -> bool {
        match part {
            Part::Log => self.log.lose_end(position),
            Part::State => self.state.lose(),
            Part::Snapshots => {
                self.removed.snapshots.clear();
                !std::mem::take(&mut self.snapshots).is_empty()
            }
            Part::Blobs => {
                let Some(place) = position.checked_rem(self.blobs.len()) else { return false };
                let id = self.blobs.keys().nth(place).copied();
                id.and_then(|id| self.blobs.remove(&id)).is_some()
            }
        }
    }
}

/// Flips bit `position` of the values in a row.
fn flip(values: Vec<&mut Bytes>, position: usize) -> bool {
    let (mut byte, bit) = (position / 8, position % 8);
    for value in values {
        if byte < value.len() {
            let mut flipped = value.to_vec();
            flipped[byte] ^= 1 << bit;
            *value = Bytes::from(flipped);
            return true;
        }
        byte -= value.len();
    }
    false
}

impl Cell {
    pub(super) fn raw(&mut self) -> &mut Bytes {
        &mut self.bytes
    }
}
