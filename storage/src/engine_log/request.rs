//! One call that waits for the committer, and how its size is counted.

use bytes::Bytes;

use crate::log::{Done, Record};

/// What a record costs besides its bytes.
pub(super) const RECORD_OVERHEAD: usize = 64;

/// One call that waits for the committer.
pub(super) enum Request {
    Append { records: Vec<Record>, done: Done },
    Note { key: &'static str, value: Bytes, done: Done },
    Truncate { index: u64, done: Done },
    Purge { index: u64, done: Done },
}

impl Request {
    /// What it adds to the queue.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { records, .. } => size(records),
            Self::Note { key, value, .. } => key.len() + value.len() + RECORD_OVERHEAD,
            Self::Truncate { .. } | Self::Purge { .. } => RECORD_OVERHEAD,
        }
    }

    pub(super) fn into_done(self) -> Done {
        match self {
            Self::Append { done, .. }
            | Self::Note { done, .. }
            | Self::Truncate { done, .. }
            | Self::Purge { done, .. } => done,
        }
    }

    /// Whether it runs alone, and is kept when space runs out: it may free some.
    pub(super) fn removes(&self) -> bool {
        self.removal().is_some()
    }

    /// What it removes: whether from an index on, and the index.
    pub(super) fn removal(&self) -> Option<(bool, u64)> {
        match self {
            Self::Truncate { index, .. } => Some((true, *index)),
            Self::Purge { index, .. } => Some((false, *index)),
            Self::Append { .. } | Self::Note { .. } => None,
        }
    }
}

/// What records cost in memory.
pub(super) fn size(records: &[Record]) -> usize {
    records.iter().map(|record| record.bytes.len() + RECORD_OVERHEAD).sum()
}

/// Counts bytes of a read; the first record is always within it.
pub(super) struct Budget {
    left: usize,
    first: bool,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { left: bytes_max, first: true }
    }

    pub(super) fn take(&mut self, record: &Record) -> bool {
        let fits = record.bytes.len() <= self.left || self.first;
        self.left = self.left.saturating_sub(record.bytes.len());
        self.first = false;
        fits
    }
}

/// Drops what goes beyond `bytes_max`.
pub(super) fn keep_within(records: &mut Vec<Record>, bytes_max: usize) {
    let mut left = bytes_max;
    let fitting = records.iter().take_while(|record| {
        let fits = record.bytes.len() <= left;
        left = left.saturating_sub(record.bytes.len());
        fits
    });
    let fitting = fitting.count();
    records.truncate(fitting);
}
