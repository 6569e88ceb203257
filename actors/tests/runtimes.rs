//! The runtimes with real processes and real tasks, through the port.
#![cfg(target_os = "linux")] // looks for processes in /proc
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "runtimes/support.rs"]
mod support;

#[path = "runtimes/ends.rs"]
mod ends;
#[path = "runtimes/inputs.rs"]
mod inputs;
#[path = "runtimes/native.rs"]
mod native;
#[path = "runtimes/orphans.rs"]
mod orphans;
#[path = "runtimes/outputs.rs"]
mod outputs;
#[path = "runtimes/programs.rs"]
mod programs;
