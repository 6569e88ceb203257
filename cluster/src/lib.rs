//! Agreement for synod: one Raft group, from a proposed command to its durable answer.
//!
//! ```text
//!  Proposer ─► batch ─► openraft ─► LogStore ─► disk ─► Machine ─► answers, events
//!                          │                               └─► Checkpointer ─► mirror, snapshots
//!                          └─► RaftPeers ─► transport ─► other members
//! ```
//!
//! [`consensus::Consensus`] starts all of it. A single node is a group of one and takes the same path.
//! Deliberately absent: actors, rules (they are the domain's), clocks and randomness of the system.

#![forbid(unsafe_code)]

pub mod consensus;
pub mod proposer;

pub mod checkpointer;
pub mod group;
pub mod history;
pub mod log_store;
pub mod machine;
pub mod records;
pub mod snapshot;

pub mod network;
pub mod transport;

pub mod offload;
pub mod runtime;
