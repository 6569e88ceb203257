//! The log: numbered records that are on the disk before anybody hears about them.
//!
//! ```text
//!  append ─┐                      ┌─► done(Ok)   in the order of the calls
//!  append ─┼─► queue ─► one write + one sync ─► done(Ok)
//!  put_note┘      ▲                     │
//!                 └── what arrives ◄────┘  while the sync runs goes into the next one
//! ```
//!
//! A log promises that a record whose `done` said `Ok` survives the process and the machine, that
//! `done` callbacks run in the order of the calls, and that a damaged record is an error and never
//! wrong data. It knows nothing of terms or votes: those are bytes in records and notes. It does not
//! decide what may be removed; whoever calls [`Log::purge_through`] does.

use bytes::Bytes;

use crate::error::Error;

/// One numbered record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub index: u64,
    /// Its content, which the log does not look into.
    pub bytes: Bytes,
}

/// What runs once the fate of a queued write is known.
///
/// It runs on the thread that syncs, so it must be short and must not wait for the log.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The first and the last index of a log; both or neither are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest record that is kept.
    pub first: Option<u64>,
    /// The newest record, whether it was synced or waits for it.
    pub last: Option<u64>,
}

/// How much the disk can still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Anything.
    Ample,
    /// Work that is running may go on; nothing new should be admitted.
    Reserve,
    /// Writes are refused until space was freed.
    Exhausted,
}

/// Numbered records and a few named notes, durable before they are acknowledged.
pub trait Log: Send + Sync + 'static {
    /// Queues `records` and returns at once; `done` runs after the sync that covers them.
    ///
    /// Records continue the log without a gap; an empty log takes any start. An empty list is a
    /// barrier: its `done` runs after everything queued before. A refused call runs `done` before it
    /// returns, with [`Error::Gap`], [`Error::Busy`], [`Error::Fatal`] or [`Error::Closed`].
    /// [`Error::NoSpace`] refuses this call and every append queued behind it.
    fn append(&self, records: Vec<Record>, done: Done);

    /// Queues a small named value into the same order and the same sync as the records.
    ///
    /// Notes are rewritten with every purge, so they are meant for a handful of small things.
    fn put_note(&self, key: &'static str, value: Bytes, done: Done);

    /// Returns the value that the last durable [`Log::put_note`] left.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], [`Error::Fatal`] or [`Error::Closed`].
    fn note(&self, key: &str) -> Result<Option<Bytes>, Error>;

    /// Returns the records of `from..to_exclusive` that exist, oldest first and without gaps, those
    /// that wait for their sync included.
    ///
    /// Stops before `bytes_max` is exceeded, but returns at least one record if one exists.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] naming the first index whose bytes are not what was written.
    fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error>;

    /// Returns the first and last index, records that wait for their sync included.
    fn bounds(&self) -> Bounds;

    /// Removes the records from `index` on, after everything queued so far. Durable on return.
    ///
    /// Waits for the disk; do not call it from a `done` callback.
    ///
    /// # Errors
    ///
    /// [`Error::Fatal`] or [`Error::Closed`]; [`Error::NoSpace`] leaves the records in place.
    fn truncate_from(&self, index: u64) -> Result<(), Error>;

    /// Removes the records up to and including `index`, after everything queued so far, and gives
    /// their disk space back file by file. Durable on return.
    ///
    /// Purging beyond the last record empties the log, and the next append may start anywhere.
    /// Waits for the disk; do not call it from a `done` callback.
    ///
    /// # Errors
    ///
    /// As [`Log::truncate_from`].
    fn purge_through(&self, index: u64) -> Result<(), Error>;

    /// Returns how much the disk can still take; cheap enough to ask for every batch.
    fn room(&self) -> Room;
}
