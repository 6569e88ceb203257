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

pub mod blobs;
pub mod clock;
pub mod consensus;
pub mod journal;
pub mod proposer;
pub mod view;

pub mod audit;
pub mod backup;
pub mod checkpointer;
pub mod group;
pub mod history;
pub mod log_store;
pub mod machine;
pub mod records;
pub mod restore;
pub mod snapshot;

mod ahead;
mod arrival;
mod elections;
mod forgetting;
mod hearing;
mod keeper;
mod leadership;
mod life;
mod network;
mod notices;
mod pulse;
mod reads;
mod sending;
mod transfer;
pub mod transport;

pub mod courier;
pub mod gossip;
pub mod identity;

pub mod lasting;
pub mod offload;
pub mod runtime;
