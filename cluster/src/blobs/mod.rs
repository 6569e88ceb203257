//! Large payloads and results on more than one node.
//!
//! ```text
//!   Copies::put ─► pieces ─► Service::Blobs of each voter ─► hash checked, durable ─► a majority has it
//!   Copies::get ─► who has it? ─► pieces ─► hash checked ─► kept here too
//! ```
//!
//! Promises that what [`Copies::put`] took is durable on a majority of the voters, so that it outlives any minority
//! of them, and that nothing is taken for a blob that does not hash to its name. Leaves which blobs are still
//! wanted to nobody yet: they stay. Logs of attempts travel the same way, without promise: they are of one node.

mod answering;
mod copies;
mod wire;

pub use answering::{Answering, Logs};
pub use copies::{Copies, Parts};

/// Bytes in one piece. Larger pieces hold up what shares the connection; smaller ones ask more often.
const PIECE_BYTES: usize = 1 << 20;
