//! What can go wrong with bytes, and what it means for the state.
//!
//! Each variant says in its first sentence what happened to the stored data, and in its last
//! whether trying again can help.

use std::{ffi::OsString, fmt, io, path::PathBuf, sync::Arc};

use crate::blobs::BlobId;

/// Why a storage call did not do what was asked.
///
/// Errors are cheap to clone, because one failed sync answers every record that waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A write or a sync failed, so what is on the disk is unknown. Nothing of this batch, and
    /// nothing after it, is acknowledged until the process starts again; never retry.
    #[error("storage is closed for good after a failed write or sync ({cause}); restart the process")]
    Fatal {
        /// What the failing call reported.
        cause: Arc<str>,
    },

    /// The disk has no room for this. Nothing of it was written; retry when space was freed.
    #[error("no space left: {needed} bytes are needed and {available} are available; free some space")]
    NoSpace {
        /// Bytes that the refused write asked for.
        needed: u64,
        /// Bytes the file system still offered.
        available: u64,
    },

    /// More bytes wait for the next sync than the log takes. Nothing was queued; retry later.
    #[error("the log is busy: {queued_bytes} bytes wait for the disk")]
    Busy {
        /// Bytes that wait.
        queued_bytes: usize,
    },

    /// An index does not continue what is stored. Nothing was written; a retry gives the same.
    #[error("index {got} does not follow what is stored: expected {expected}")]
    Gap {
        /// The index that would have been accepted.
        expected: u64,
        /// The index that came.
        got: u64,
    },

    /// Stored bytes are not what was written. They are left as they are; a retry gives the same,
    /// another copy (a peer, a snapshot, a backup) is needed.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// Where the damage is.
        place: Place,
        /// What did not match.
        reason: String,
    },

    /// A record was written in a format this binary does not read, by a newer or an older one. It is
    /// left as it is, and a retry gives the same; use the binary that wrote it, or another folder.
    #[error("{}", unknown_version(*found, *known))]
    UnknownVersion {
        /// The version byte of the record.
        found: u8,
        /// The only version read here.
        known: u8,
    },

    /// A value cannot be encoded. Nothing was written; a retry gives the same.
    #[error("value cannot be encoded: {reason}")]
    Encode {
        /// What the codec said.
        reason: String,
    },

    /// Something is larger than its limit. Nothing was written; a retry gives the same.
    #[error("{what} of {bytes} bytes is over the limit of {max}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },

    /// The asked-for thing is not here. Nothing changed; fetch it elsewhere.
    #[error("{place} is not stored here")]
    Missing {
        /// What was asked for.
        place: Place,
    },

    /// The folder holds files, and none of them is ours. Nothing in it was touched, its mode neither;
    /// use an empty or new folder.
    #[error(
        "data folder {folder} is not empty and holds nothing of synod ({found:?} is there); nothing in it \
         was changed; choose an empty or new folder with --data",
        folder = folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// One of the names in it.
        found: OsString,
    },

    /// Another process uses this data folder. Nothing was opened; stop it, or use another folder.
    #[error(
        "data folder {folder} is in use by {holder}; stop that process or choose another folder",
        folder = folder.display(),
        holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, where it could be read.
        holder: Option<u32>,
    },

    /// The log ends before a record that was once acknowledged. Nothing was changed; this node
    /// must not vote under its old id: restore the folder from a backup, or start empty under a
    /// new id.
    #[error(
        "the log ends at {last} but was synced through {floor}: acknowledged records are missing; \
         restore this data folder from a backup, or empty it and join under a new id",
        last = last.map_or_else(|| "nothing".to_owned(), |last| last.to_string())
    )]
    LogShort {
        /// The last index known to have been synced.
        floor: u64,
        /// The last index found.
        last: Option<u64>,
    },

    /// The state ends before the log begins and no snapshot fills the hole. Nothing was lost from
    /// the log; restore from a backup, or let the node join again under a new id.
    #[error(
        "state is applied through {applied} but the log begins at {first} and no snapshot fills the hole; \
         restore this data folder from a backup, or empty it and join under a new id"
    )]
    LogHole {
        /// The last applied index.
        applied: u64,
        /// The first index in the log.
        first: u64,
    },

    /// The storage was closed, or its machine crashed. Nothing was written; open it again.
    #[error("this storage handle is closed")]
    Closed,

    /// The operating system refused a call. What was acknowledged before is untouched; a retry
    /// may help once the cause is gone. The text names the cause, so it is not the error's `source` as
    /// well: whoever prints the chain would say it twice.
    #[error("cannot {doing} {path}: {cause}", path = path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
}

impl Error {
    /// Returns whether the process must stop: the log or the state can never be trusted again
    /// without a restart.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal { .. } | Self::Closed)
    }

    /// Wraps a system error, keeping "disk full" apart because it heals.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::StorageFull {
            return Self::NoSpace { needed: 0, available: 0 };
        }
        Self::Io { doing, path: path.into(), cause: Arc::new(cause) }
    }

    /// Says that the bytes at `place` are not what was written.
    pub(crate) fn damaged(place: Place, reason: impl Into<String>) -> Self {
        Self::Damaged { place, reason: reason.into() }
    }

    /// Ends all use of a store whose disk state is unknown.
    pub(crate) fn fatal(cause: impl fmt::Display) -> Self {
        Self::Fatal { cause: Arc::from(cause.to_string()) }
    }
}

/// Says of another format who wrote it and what to do.
fn unknown_version(found: u8, known: u8) -> String {
    if found < known {
        format!(
            "the data was written by an earlier synod (record format {found}; this one reads format {known}), \
             and nothing in it was changed; finish its work with the synod that wrote it, or choose a new folder \
             with --data"
        )
    } else {
        format!(
            "the data was written by a later synod (record format {found}; this one reads format {known}), \
             and nothing in it was changed; use the synod that wrote it"
        )
    }
}

/// A spot in the storage that an error can point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One log record.
    Record(u64),
    /// The log as a whole.
    Log,
    /// One row of the state, by its key.
    Row(Vec<u8>),
    /// The state as a whole.
    State,
    /// A snapshot, by the index it covers.
    Snapshot(u64),
    /// A blob.
    Blob(BlobId),
    /// A file outside of the above.
    File(PathBuf),
    /// An encoded value in memory.
    Value,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(index) => write!(f, "log record {index}"),
            Self::Log => write!(f, "the log"),
            Self::Row(key) => write!(f, "state row {}", key.escape_ascii()),
            Self::State => write!(f, "the state"),
            Self::Snapshot(applied) => write!(f, "snapshot {applied}"),
            Self::Blob(id) => write!(f, "blob {id}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Value => write!(f, "encoded value"),
        }
    }
}
