//! Agents that are programs: one start of the program for each attempt.
//!
//! ```text
//!   task as JSON ──► stdin ┌─────────┐ stdout ──► the result
//!                          │ program │ stderr ──► the attempt's log
//!   SYNOD_* ──► environment│         │ fd 3   ──► heartbeats, progress, usage, tool requests (NDJSON)
//!   tool answers ──► fd 4  └─────────┘
//! ```
//!
//! Promises: a program sees only the variables it was given; all it wrote is bounded; when an attempt is over,
//! its process group has no member left; no member outlives the node, even when the node is killed with
//! SIGKILL (`reaper.rs`, `kernel.rs`), and what escapes all of that is found at the next start
//! (`leftovers.rs`).
//!
//! Leaves to others: timeouts and leases (they cancel `Work::stop`), retries, and sandboxing. A program that
//! leaves its process group on purpose (`setsid`, daemons) leaves our sight until the next sweep.

mod node;
mod runtime;

mod answers;
mod attempt;
mod environment;
mod input;
mod json;
mod log;
mod messages;
mod output;
mod program;
mod verdict;

mod group;
mod kernel;
mod leftovers;
mod reaper;
mod spawner;
mod vitals;

pub use environment::INHERITED;
pub use log::{LOG_BYTES_MAX, LOG_TAIL_BYTES};
pub use node::{GRACE, ProcessNode, ProcessSettings};
pub use output::OUTPUT_BYTES_MAX;
pub use runtime::ProcessRuntime;
pub use vitals::Vitals;
