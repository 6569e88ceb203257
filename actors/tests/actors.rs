//! The tree of actors through its handles, on a journal that keeps the real state and can misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "actors/fleet.rs"]
mod fleet;
#[path = "actors/journal.rs"]
mod journal;
#[path = "actors/puppet.rs"]
mod puppet;
#[path = "actors/stage.rs"]
mod stage;

#[path = "actors/attempts.rs"]
mod attempts;
#[path = "actors/barred.rs"]
mod barred;
#[path = "actors/chaos.rs"]
mod chaos;
#[path = "actors/desk.rs"]
mod desk;
#[path = "actors/falling_behind.rs"]
mod falling_behind;
#[path = "actors/handing_out.rs"]
mod handing_out;
#[path = "actors/idling.rs"]
mod idling;
#[path = "actors/leaving.rs"]
mod leaving;
#[path = "actors/liveness.rs"]
mod liveness;
#[path = "actors/nodes.rs"]
mod nodes;
#[path = "actors/one_agent.rs"]
mod one_agent;
#[path = "actors/pausing.rs"]
mod pausing;
#[path = "actors/pools.rs"]
mod pools;
#[path = "actors/recovery.rs"]
mod recovery;
#[path = "actors/regions.rs"]
mod regions;
#[path = "actors/relaying.rs"]
mod relaying;
#[path = "actors/repeated_claims.rs"]
mod repeated_claims;
#[path = "actors/restarts.rs"]
mod restarts;
#[path = "actors/supervision.rs"]
mod supervision;
#[path = "actors/telling.rs"]
mod telling;
#[path = "actors/tending.rs"]
mod tending;
#[path = "actors/tools.rs"]
mod tools;
