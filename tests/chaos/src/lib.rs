//! Kills, stops, cuts off and fills up real `synod` nodes under load, and judges what they told.
//!
//! ```text
//! workload ──HTTP──► nodes (child processes) ◄── faults
//!     └──► history ◄── last look at every node ──► judges ──► report
//! ```
//!
//! The history is the only thing that judges look at, so a judge can be shown a made-up history and must find
//! what is wrong with it (`tests/checker`). Silence is never taken for "no": a call without an answer may have
//! been done or may still be done later.

pub mod history;
pub mod judges;

pub mod client;
pub mod cluster;
mod command;
pub mod disks;
pub mod http;
pub mod last_look;
pub mod place;
pub mod report;
pub mod scenarios;
pub mod workload;
