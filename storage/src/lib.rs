//! Bytes that survive: the log, the state, snapshots and blobs of a node.
//!
//! This crate promises durability and knows nothing else: not what a task is (`synod-domain`), not who
//! leads (`synod-cluster`), not what time it is; it never awaits and draws no random number. What a call
//! acknowledged is there after a kill and after a power cut, and what a disk damaged is an error and
//! never wrong data.
//!
//! ```text
//!  <data folder>            mode 0700, one process at a time
//!  ├── lock                 the lock, and the number of the process that holds it
//!  ├── ballast              space that is given up when the disk becomes full
//!  ├── log/                 the log: files of the engine
//!  ├── log.floor            how far the log was synced, kept outside of it
//!  ├── applied.marker       which generation of the state counts, and how far it is durable
//!  ├── state-<n>/           the state: one sled database
//!  ├── state.damaged-<n>/   one that was damaged and rebuilt, for somebody to look at
//!  ├── snapshots/
//!  │   └── snapshot-<applied>.rows
//!  ├── blobs/
//!  │   └── ab/cdef…         payloads over 64 KiB, by their SHA-256
//!  └── logs/                left to the node: what its programs wrote to standard error
//! ```
//!
//! How the parts cover for each other:
//!
//! ```text
//!  log ──► state        the state is behind the log; records after its applied index are applied again
//!  snapshot + log ──► state    so the log is purged through the latest snapshot and no further
//!  log.floor, applied.marker ──► a log or a state that ends earlier than it was synced is noticed
//! ```
//!
//! Everything is behind a trait with two implementations: on a disk ([`open()`]), and deterministic in
//! memory with faults on demand ([`MemoryDisk`]). One suite, [`conformance`], holds for both.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say so"))]

mod blob_files;
mod blobs;
mod codec;
#[doc(hidden)]
pub mod conformance;
mod durable;
mod engine_log;
mod error;
mod floor;
mod folder;
mod log;
mod memory;
mod open;
mod room;
mod sled_state;
mod snapshot_files;
mod snapshot_format;
mod snapshots;
mod spool;
mod state_store;

use std::sync::Arc;

pub use blobs::{BLOB_MAX, BlobId, Blobs, INLINE_MAX};
pub use codec::{VERSION, decode, encode};
pub use durable::{create_folder, remove_file, write_file};
pub use engine_log::LogOptions;
pub use error::{Error, Place};
pub use folder::refuse_foreign;
pub use log::{Bounds, Done, Log, Record, Room};
pub use memory::{MemoryDisk, Part};
pub use open::{Opened, Options, Repair, open};
pub use room::RoomOptions;
pub use sled_state::Verify;
pub use snapshot_format::snapshot_rows;
pub use snapshots::{RawSnapshot, SnapshotInfo, SnapshotReader, Snapshots};
pub use spool::Spool;
pub use state_store::{Batch, ROW_MAX, Row, StateStore, rows};

/// Everything a node keeps. Cheap to clone; the data folder is free again when all parts are dropped.
#[derive(Clone)]
pub struct Storage {
    /// Numbered records, durable before they are acknowledged.
    pub log: Arc<dyn Log>,
    /// Sorted rows with the index through which they are applied.
    pub state: Arc<dyn StateStore>,
    /// The whole state as of one index.
    pub snapshots: Arc<dyn Snapshots>,
    /// Large payloads, by their content.
    pub blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (log, applied) = (self.log.bounds(), self.state.applied());
        f.debug_struct("Storage").field("log", &log).field("applied", &applied).finish_non_exhaustive()
    }
}
