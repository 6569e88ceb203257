//! Several nodes in one process, over real streams and datagrams on loopback, with real certificates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

#[path = "node/support.rs"]
#[allow(dead_code, reason = "it is shared with the tests of a single node")]
mod support;

#[path = "cluster/backup.rs"]
mod backup;
#[path = "cluster/closed.rs"]
mod closed;
#[path = "cluster/ending.rs"]
mod ending;
#[path = "cluster/failing.rs"]
mod failing;
#[path = "cluster/forming.rs"]
mod forming;
#[path = "cluster/group.rs"]
mod group;
#[path = "cluster/living.rs"]
mod living;
#[path = "cluster/parting.rs"]
mod parting;
#[path = "cluster/placing.rs"]
mod placing;
#[path = "cluster/regions.rs"]
mod regions;
#[path = "cluster/reverting.rs"]
mod reverting;
#[path = "cluster/through.rs"]
mod through;
#[path = "cluster/working.rs"]
mod working;
