//! A durable node: killed, damaged, full, stopped and overloaded; nothing acknowledged is lost or redone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "node/support.rs"]
mod support;

#[path = "node/kill_loop/mod.rs"]
mod kill_loop;

#[path = "node/blobs.rs"]
mod blobs;
#[path = "node/damage.rs"]
mod damage;
#[path = "node/ends.rs"]
mod ends;
#[path = "node/full_disk.rs"]
mod full_disk;
#[path = "node/hooks.rs"]
mod hooks;
#[path = "node/hooks_full_disk.rs"]
mod hooks_full_disk;
#[path = "node/limits.rs"]
mod limits;
#[path = "node/offers.rs"]
mod offers;
#[path = "node/outside.rs"]
mod outside;
#[path = "node/pools.rs"]
mod pools;
#[path = "node/stopping.rs"]
mod stopping;
#[path = "node/tenants.rs"]
mod tenants;
