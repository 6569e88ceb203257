//! One log, asked from any node: whoever does not lead asks the leader.
//!
//! ```text
//!   propose ─► Forwarder ─┬─ leads here ───────► Proposer ─► Settled
//!                         └─ Service::Journal ═► Answering ─► Proposer ─► index ─► applied here too ─► Settled
//! ```
//!
//! Promises that a command keeps its request id on every way, so that it is applied once however often it is sent;
//! that whoever was answered finds its own change in the state of the node that it asked; that a question ends
//! within [`PATIENCE`]; and that the last word is "unknown" when any of the tries may have arrived. Leaves trying
//! longer than that to callers.

mod answering;
mod forwarder;
mod reads;
mod wire;

pub use answering::{Answering, Ear};
pub use forwarder::{AskError, Forwarder, PATIENCE, Parts};
