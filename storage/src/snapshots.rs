//! Snapshots: the whole state in one file, as of one log index.
//!
//! A snapshot is what a damaged state is rebuilt from and what a follower that is far behind gets.
//! A store promises that [`Snapshots::latest`] is a snapshot that was checked from its first byte to
//! its last, and that the one before stays until the new one is durable. The log may be purged through
//! the index of the latest snapshot and no further: then a damaged state store loses nothing.

use std::io::Read;

use bytes::Bytes;

use crate::{error::Error, spool::Spool, state_store::Row};

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The log index through which its rows are applied.
    pub applied: u64,
    /// What its maker wanted to remember with it; the store does not look into it.
    pub meta: Bytes,
    /// How many rows it has.
    pub rows: u64,
    /// Its size in its raw form.
    pub bytes: u64,
}

/// A checked snapshot, and an iterator over its rows in key order.
pub struct SnapshotReader {
    /// What it holds.
    pub info: SnapshotInfo,
    pub(crate) rows: Box<dyn Iterator<Item = Result<Row, Error>> + Send>,
}

impl Iterator for SnapshotReader {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl std::fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotReader").field("info", &self.info).finish_non_exhaustive()
    }
}

/// A checked snapshot as the bytes that travel to a follower.
///
/// It stays readable while newer snapshots replace it.
pub trait RawSnapshot: Send + Sync {
    /// Returns what it holds.
    fn info(&self) -> &SnapshotInfo;

    /// Returns up to `max` bytes from `offset` on; empty at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error>;
}

/// Keeps the latest snapshot.
pub trait Snapshots: Send + Sync + 'static {
    /// Writes a snapshot and removes older ones once it is durable.
    ///
    /// # Errors
    ///
    /// The first error of `rows`, [`Error::NoSpace`] or [`Error::Io`]; the older snapshot stays.
    fn save(
        &self,
        applied: u64,
        meta: Bytes,
        rows: &mut dyn Iterator<Item = Result<Row, Error>>,
    ) -> Result<SnapshotInfo, Error>;

    /// Takes a snapshot in its raw form, checks all of it, and keeps it as [`Snapshots::save`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for bytes that are not one whole snapshot; the older snapshot stays.
    fn receive(&self, raw: &mut dyn Read) -> Result<SnapshotInfo, Error>;

    /// Returns a place for one that comes piece by piece, until [`Snapshots::receive`] takes it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] or [`Error::Io`].
    fn spool(&self) -> Result<Box<dyn Spool>, Error>;

    /// Opens the newest snapshot that is whole; damaged ones are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder cannot be read.
    fn latest(&self) -> Result<Option<SnapshotReader>, Error>;

    /// Opens the same snapshot in its raw form.
    ///
    /// # Errors
    ///
    /// As [`Snapshots::latest`].
    fn latest_raw(&self) -> Result<Option<Box<dyn RawSnapshot>>, Error>;
}
