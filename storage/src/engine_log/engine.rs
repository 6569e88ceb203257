//! The log engine (raft-engine), behind five verbs.
//!
//! With [`super::files`] and [`super::entry`] the only file that knows it. What it does that this file makes up for:
//!
//! * It panics when a sync fails. The panic is caught and ends the log.
//! * It has no truncation, only overwriting. A removed tail is remembered as the `end` key, which the
//!   next append overwrites in the same atomic batch.
//! * Its block cache is one for each thread, keyed without the engine, so two logs of one process that
//!   read on the same thread can get each other's blocks. [`Engine::read`] is therefore called by one
//!   thread of each log only; each record also carries its index and a checksum.
//! * A refused write for lack of space cuts off what was written of it and tells so; nothing of the
//!   batch is considered written.
//! * Its metrics thread wakes every thirty seconds; that is all it does when idle.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use protobuf::well_known_types::BytesValue;
use raft_engine::{
    Command, Config, Engine as RaftEngine, LogBatch, ReadableSize, RecoveryMode,
    internals::{FilePipeLog, LogQueue},
};

use super::{
    entry::{Entry, entry, record},
    files::{self, Files},
};
use crate::{
    error::{Error, Place},
    folder,
    log::{Bounds, Record},
};

/// The group of the records.
const RECORDS: u64 = 1;
/// The group of the notes.
const NOTES: u64 = 2;
/// The key in the group of the records that says where the log ends although more was written.
const END: &[u8] = b"end";
/// The end of a log that ends with its last record.
const NO_END: u64 = u64::MAX;

/// Size of one file. Purging gives space back file by file; starting a file costs two syncs.
pub(super) const FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Why a write did not happen.
pub(super) enum Refused {
    /// No space; nothing was written.
    NoSpace,
    /// What is on the disk is unknown.
    Unknown(String),
}

/// What one sync covers.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) records: Vec<Record>,
    pub(super) notes: Vec<(&'static str, Bytes)>,
}

/// One raft-engine folder.
pub(super) struct Engine {
    inner: RaftEngine<Files, FilePipeLog<Files>>,
}

impl Engine {
    /// Opens the engine in `path`; a tail that was being written when the process died is dropped.
    pub(super) fn open(path: &Path, file_bytes: u64, files: Files) -> Result<Self, Error> {
        let config = config(path, file_bytes)?;
        let files = Arc::new(files);
        let mut outcome = Err("its own lock is held".to_owned());
        // The folder is ours already, so a conflict about the engine's own lock is a passing one.
        folder::patiently(|| {
            outcome = guard(|| RaftEngine::open_with_file_system(config.clone(), Arc::clone(&files)));
            let held = outcome.as_ref().err().is_some_and(|reason| reason.contains("Failed to lock file"));
            (!held).then_some(())
        });
        outcome.map(|inner| Self { inner }).map_err(|reason| Error::damaged(Place::Log, reason))
    }

    /// Finds the last record without changing a file, so that a log that must be refused stays as it
    /// is for whoever repairs it; an ordinary open cuts off what it cannot read.
    pub(super) fn last_on_disk(path: &Path, file_bytes: u64) -> Result<Option<u64>, Error> {
        if !path.is_dir() {
            return Ok(None);
        }
        Ok(Self::open(path, file_bytes, Files::look_only())?.bounds().last)
    }

    /// Returns the first and last record.
    pub(super) fn bounds(&self) -> Bounds {
        let (first, last) = (self.inner.first_index(RECORDS), self.inner.last_index(RECORDS));
        match (first, last.map(|last| last.min(self.end()))) {
            (Some(first), Some(last)) if first <= last => Bounds { first: Some(first), last: Some(last) },
            _ => Bounds::default(),
        }
    }

    /// Returns the notes, sorted by key.
    pub(super) fn notes(&self) -> Result<Vec<(String, Bytes)>, Error> {
        let mut notes = Vec::new();
        self.inner
            .scan_raw_messages(NOTES, None, None, false, |key, value| {
                notes.push((String::from_utf8_lossy(key).into_owned(), Bytes::copy_from_slice(value)));
                true
            })
            .map_err(|error| Error::damaged(Place::Log, error.to_string()))?;
        Ok(notes)
    }

    /// Writes and syncs everything in one atomic batch.
    pub(super) fn write(&self, writes: &Writes) -> Result<(), Refused> {
        let mut batch = LogBatch::with_capacity(4 + writes.notes.len());
        if !writes.records.is_empty() {
            let entries: Vec<BytesValue> = writes.records.iter().map(entry).collect();
            batch.add_entries::<Entry>(RECORDS, &entries).map_err(refused)?;
            if self.end() != NO_END {
                put_end(&mut batch, NO_END)?;
            }
        }
        for (key, value) in &writes.notes {
            batch.put(NOTES, key.as_bytes().to_vec(), value.to_vec()).map_err(refused)?;
        }
        self.commit(batch)
    }

    /// Removes the records from `index` on.
    pub(super) fn truncate_from(&self, index: u64) -> Result<(), Refused> {
        let Bounds { first: Some(first), last: Some(last) } = self.bounds() else { return Ok(()) };
        if index > last {
            return Ok(());
        }
        let mut batch = LogBatch::default();
        if index <= first {
            self.compact_all(&mut batch)?;
        } else {
            put_end(&mut batch, index - 1)?;
        }
        self.commit(batch)
    }

    /// Removes the records up to `index` and the files that hold no others.
    pub(super) fn purge_through(&self, index: u64) -> Result<(), Refused> {
        let bounds = self.bounds();
        let mut batch = LogBatch::default();
        if bounds.last.is_none_or(|last| last <= index) {
            self.compact_all(&mut batch)?;
        } else {
            batch.add_command(RECORDS, Command::Compact { index: index.saturating_add(1) });
            // Written again so that no old file is kept for it, as the notes below.
            put_end(&mut batch, self.end())?;
        }
        let notes = self.notes().map_err(|error| Refused::Unknown(error.to_string()))?;
        for (key, value) in notes {
            batch.put(NOTES, key.into_bytes(), value.to_vec()).map_err(refused)?;
        }
        self.commit(batch)?;
        let (oldest, newest) = self.inner.file_span(LogQueue::Append);
        if oldest == newest {
            return Ok(());
        }
        // Begins a new file and removes those without live records. The engine's own purge would copy
        // the last live records out of old files instead, which needs space when there is none.
        let removed = guard(|| {
            self.inner.purge_manager().must_purge_all_stale();
            Ok(())
        });
        match removed {
            Ok(()) => Ok(()),
            // The records are gone from the log; only their files stay until the next purge.
            Err(reason) if reason.contains(files::NO_SPACE) => {
                tracing::warn!(error = %reason, "files of the log cannot be removed");
                Ok(())
            }
            Err(reason) => Err(Refused::Unknown(reason)),
        }
    }

    /// Reads records that are known to be here. Called by one thread of each log only.
    pub(super) fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let mut entries = Vec::new();
        let fetched = guard(|| {
            self.inner.fetch_entries_to::<Entry>(RECORDS, from, to_exclusive, Some(bytes_max), &mut entries)
        });
        if let Err(reason) = fetched {
            return Err(Error::damaged(Place::Record(from + entries.len() as u64), reason));
        }
        (from..).zip(entries).map(|(index, entry)| record(index, entry)).collect()
    }

    fn end(&self) -> u64 {
        let end = self.inner.get(RECORDS, END);
        end.and_then(|end| end.first_chunk().copied()).map_or(NO_END, u64::from_le_bytes)
    }

    /// Empties the log, including records behind its end.
    fn compact_all(&self, batch: &mut LogBatch) -> Result<(), Refused> {
        if let Some(written) = self.inner.last_index(RECORDS) {
            batch.add_command(RECORDS, Command::Compact { index: written + 1 });
        }
        put_end(batch, NO_END)
    }

    fn commit(&self, mut batch: LogBatch) -> Result<(), Refused> {
        let written = catch_unwind(AssertUnwindSafe(|| self.inner.write(&mut batch, true)));
        match written {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused(error)),
            Err(panic) => Err(Refused::Unknown(panic_message(panic.as_ref()))),
        }
    }
}

fn config(path: &Path, file_bytes: u64) -> Result<Config, Error> {
    let dir = path.to_str().ok_or_else(|| {
        Error::io("use", path, std::io::Error::new(std::io::ErrorKind::InvalidFilename, "it is not UTF-8"))
    })?;
    Ok(Config {
        dir: dir.to_owned(),
        recovery_mode: RecoveryMode::TolerateTailCorruption,
        // One: replay order is then the order of writing, and starts are short anyway.
        recovery_threads: 1,
        // Payloads are small and often compressed already; the processor is the scarcer thing.
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(file_bytes),
        // As small as the engine allows; its own purge is not used.
        purge_threshold: ReadableSize(file_bytes),
        // A recycled file holds old records behind the new ones, and takes its space for ever.
        enable_log_recycle: false,
        ..Config::default()
    })
}

fn put_end(batch: &mut LogBatch, end: u64) -> Result<(), Refused> {
    batch.put(RECORDS, END.to_vec(), end.to_le_bytes().to_vec()).map_err(refused)
}

fn refused(error: raft_engine::Error) -> Refused {
    match &error {
        // The engine cut the write off, began a new file, and was refused again.
        raft_engine::Error::TryAgain(_) => Refused::NoSpace,
        raft_engine::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Refused::NoSpace,
        _ => Refused::Unknown(error.to_string()),
    }
}

/// How the reason of a caught panic begins.
const PANICKED: &str = "the engine panicked: ";

/// Runs a call of the engine and turns both its errors and its panics into a reason.
fn guard<T>(call: impl FnOnce() -> raft_engine::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(panic_message(panic.as_ref())),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("{PANICKED}{}", text.unwrap_or("without a message"))
}
