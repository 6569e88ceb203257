//! Recordings: what happened on a node, in a file from which it can happen again in a simulated cluster.
//!
//! ```text
//!   {"synod_recording": 1, ...}                     what it is and of when
//!   {"version": 1, "kind": "pool", "item": {...}}   pools as they were at the end
//!   {"version": 1, "kind": "task", "item": {...}}   tasks of the events, without payloads, results, labels
//!   {"version": 1, "kind": "event", "item": {...}}  the events, in order
//!   {"version": 1, "kind": "end", "item": {...}}    how many of each: without it the file was cut off
//! ```
//!
//! Lines of JSON, the envelopes those that `synod` prints. Promises that a file which is not whole or not of this kind
//! is refused with the line and what to do. Nothing of what agents are given or give back is in it; reasons are, which
//! agents write. Leaves to others: how it is fetched (the command line) and what is made of it (the simulations).

mod read;
mod write;

pub use read::{Error, RECORDING_BYTES_MAX, Recorded, Recording, read};
pub use write::Writer;

use serde::{Deserialize, Serialize};

/// The version of the format; readers refuse others.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub synod_recording: u32,
    /// Which version of synod wrote it.
    pub synod: String,
    /// Until when it goes.
    pub recorded_at: String,
}

/// The last line's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many pools.
    pub pools: usize,
    /// How many tasks.
    pub tasks: usize,
    /// How many events.
    pub events: usize,
}
