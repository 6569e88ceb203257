//! The disk of a simulated node: a [`MemoryDisk`] whose syncs take time, fail and lie as the world says.
//!
//! Syncs are always held, and the driver releases them between two steps of the world. So there is always
//! something that a crash can lose, as on a real disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod::node::storage::{Bounds, Done, Error, Log, MemoryDisk, Opened, Record, Room};

use crate::chance::Stream;

/// The longest sync of a healthy disk, in milliseconds.
const SYNC_MILLIS_MAX: u64 = 4;

/// One node's disk, which outlives the node.
#[derive(Debug)]
pub(crate) struct Disk {
    memory: MemoryDisk,
    stream: Stream,
    next_sync: Duration,
    slow: Option<Duration>,
}

/// What a crash found and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Writes that were not synced.
    pub(crate) unsynced: usize,
    /// How many of them survive.
    pub(crate) kept: usize,
}

impl Disk {
    /// Makes an empty disk.
    pub(crate) fn new(stream: Stream) -> Self {
        let memory = MemoryDisk::new();
        memory.hold_syncs();
        Self { memory, stream, next_sync: Duration::ZERO, slow: None }
    }

    /// Returns the disk itself, for a node to open.
    pub(crate) fn memory(&self) -> MemoryDisk {
        self.memory.clone()
    }

    /// Puts an empty one in its place.
    pub(crate) fn empty(&mut self) {
        self.memory = MemoryDisk::new();
        self.memory.hold_syncs();
    }

    /// Syncs what waits when it is time, and draws how long the next sync takes.
    pub(crate) fn pump(&mut self, now: Duration) {
        if now < self.next_sync {
            return;
        }
        self.memory.release();
        self.memory.hold_syncs();
        let takes = self.slow.unwrap_or_else(|| self.stream.millis(1, SYNC_MILLIS_MAX));
        self.next_sync = now + takes;
    }

    /// Tells whether a crash would find something to lose.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.memory.unsynced() > 0
    }

    /// Loses power; of the unsynced writes the first so many of a hundred survive.
    pub(crate) fn crash(&self, keep_percent: u64) -> Loss {
        let mut loss = Loss { unsynced: 0, kept: 0 };
        self.memory.crash(|unsynced| {
            let kept = unsynced as u64 * keep_percent / 100;
            loss = Loss { unsynced, kept: usize::try_from(kept).unwrap_or(unsynced) };
            loss.kept
        });
        loss
    }

    /// Makes every sync take so long; `None` makes the disk fast again.
    pub(crate) fn slow(&mut self, sync: Option<Duration>) {
        self.slow = sync;
    }

    /// Fails the next sync.
    pub(crate) fn fail_next_sync(&self) {
        self.memory.fail_next_sync();
    }

    /// Leaves room for so many bytes, or for anything.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        self.memory.limit_space(bytes);
    }
}

/// Opens the disk as a start of the node does.
///
/// # Errors
/// When what is on it contradicts itself.
pub(crate) fn open(memory: &MemoryDisk, lies: bool) -> Result<Opened, Error> {
    let mut opened = memory.open_checked()?;
    if lies {
        opened.storage.log = Arc::new(LyingLog(opened.storage.log));
    }
    Ok(opened)
}

/// A log that acknowledges before it syncs.
struct LyingLog(Arc<dyn Log>);

impl Log for LyingLog {
    fn append(&self, records: Vec<Record>, done: Done) {
        self.0.append(records, Box::new(drop));
        done(Ok(()));
    }

    fn put_note(&self, key: &'static str, value: Bytes, done: Done) {
        self.0.put_note(key, value, Box::new(drop));
        done(Ok(()));
    }

    fn note(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.0.note(key)
    }

    fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        self.0.read(from, to_exclusive, bytes_max)
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    fn truncate_from(&self, index: u64) -> Result<(), Error> {
        self.0.truncate_from(index)
    }

    fn purge_through(&self, index: u64) -> Result<(), Error> {
        self.0.purge_through(index)
    }

    fn room(&self) -> Room {
        self.0.room()
    }
}
