//! The rules of synod: what a task, an agent, a pool and a mailbox are, and what may happen to them.
//!
//! ```text
//!   Entry { time, seed, commands } ──► State::apply ──► Effects { answers, events }
//! ```
//!
//! Pure code: no clock, no randomness, no IO, nothing asynchronous, ordered maps only. Every replica
//! that applies the same entries has the same state. Deliberately absent: actors, networks, disks and
//! every wall clock; the shells around this crate bring them.

#![forbid(unsafe_code)]

pub mod chance;
pub mod id;
pub mod mutants;
pub mod name;
pub mod sources;
pub mod time;

pub mod access;
pub mod agent;
pub mod apart;
pub mod approval;
pub mod assignment;
pub mod audit;
pub mod autoscale;
pub mod breaker;
pub mod budget;
pub mod capability;
pub mod fabric;
pub mod federation;
pub mod hook;
pub mod life;
pub mod limit_set;
pub mod limits;
pub mod node;
pub mod parking;
pub mod pause;
pub mod payload;
pub mod permission;
pub mod policy;
pub mod quota;
pub mod recovery;
pub mod renewal;
pub mod resource;
pub mod retry;
pub mod rollout;
pub mod run;
pub mod task;
pub mod tending;
pub mod terms;
pub mod token;
pub mod totals;
pub mod violation;
pub mod webhook;

pub mod mailbox;
pub mod mailbox_path;
pub mod placement;
pub mod region;
pub mod restart;
pub mod spread;

pub mod command;
pub mod event;
pub mod refusal;
pub mod reply;
pub mod row;
pub mod state;
pub mod why;
