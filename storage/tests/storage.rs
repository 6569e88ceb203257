//! The tests of the storage crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]
#![allow(clippy::disallowed_methods, reason = "real disks and real threads")]

#[path = "storage/conformance.rs"]
mod conformance;
#[path = "storage/crashes.rs"]
mod crashes;
#[path = "storage/full_disk.rs"]
mod full_disk;
#[path = "storage/log_damage.rs"]
mod log_damage;
#[path = "storage/memory.rs"]
mod memory;
#[path = "storage/opening.rs"]
mod opening;
#[path = "storage/snapshot_damage.rs"]
mod snapshot_damage;
#[path = "storage/state_damage.rs"]
mod state_damage;
#[path = "storage/support.rs"]
mod support;
