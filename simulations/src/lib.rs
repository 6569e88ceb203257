//! The synod node in a simulated world that tries to break it.
//!
//! One seed is the whole input: the same seed gives the same trace, byte for byte, in any process on Linux. The node
//! is the real one with its real wiring; the clock, chance, the disk and the network are the world's. What
//! happened is judged from the outside, by what the node told and answered.
//!
//! Leaves to others: the rules (`synod-domain` has its own laws), real disks, real kills and processes that are
//! stopped (the node's own tests and the chaos of real nodes), TLS, and how long things take on a machine.
//!
//! In reading order: a [`World`] is made from [`Settings`] and a seed; [`chance`] and [`clock`] are what it
//! gives the node; [`faults`] and the disk are what it does to it; [`history`] is what happened, [`trace`]
//! its text; [`judges`] say what must hold, [`report`] says it to people.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say so"))]

mod admission;
mod agent;
pub mod chance;
pub mod clock;
mod disk;
mod driver;
mod entries;
pub mod faults;
pub mod fleet;
pub mod history;
mod host;
pub mod judges;
pub mod left_out;
mod machine;
pub mod mutants;
mod net;
mod observer;
mod panics;
mod perform;
mod probe;
pub mod process;
mod receivers;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod script;
mod shared;
mod spending;
mod story;
pub mod trace;
pub mod view;
pub mod workload;
mod world;

pub use scenario::{Outcome, Scenario};
pub use world::{Settings, World};
