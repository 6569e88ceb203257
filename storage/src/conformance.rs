//! What every implementation of the storage traits must do, as one suite for each trait.
//!
//! A suite gets disks, opens each as often as it likes, and panics at the first promise that is broken.

#![allow(clippy::unwrap_used, reason = "a suite reports by panicking")]

mod blobs;
mod log;
mod snapshots;
mod state;

use crate::Storage;

pub use blobs::blobs;
pub use log::{append, indexes, log, note, records};
pub use snapshots::snapshots;
pub use state::{batch, pairs, state};

/// A disk. Each call opens it again; what was opened before must be dropped first.
pub type Disk = Box<dyn FnMut() -> Storage>;

/// Gives a suite a new empty disk.
pub type Disks<'a> = &'a mut dyn FnMut() -> Disk;
