//! The node over HTTP: who is let in, what is answered, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "http/support.rs"]
mod support;
#[path = "http/work.rs"]
mod work;

#[path = "http/again.rs"]
mod again;
#[path = "http/agents.rs"]
mod agents;
#[path = "http/audit.rs"]
mod audit;
#[path = "http/breakers.rs"]
mod breakers;
#[path = "http/budgets.rs"]
mod budgets;
#[path = "http/bulk.rs"]
mod bulk;
#[path = "http/claims.rs"]
mod claims;
#[path = "http/cluster.rs"]
mod cluster;
#[path = "http/contract.rs"]
mod contract;
#[path = "http/control_plane/mod.rs"]
mod control_plane;
#[path = "http/declared.rs"]
mod declared;
#[path = "http/events.rs"]
mod events;
#[path = "http/foreign.rs"]
mod foreign;
#[path = "http/hooks.rs"]
mod hooks;
#[path = "http/limit_sets.rs"]
mod limit_sets;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/listing.rs"]
mod listing;
#[path = "http/mailboxes.rs"]
mod mailboxes;
#[path = "http/policies.rs"]
mod policies;
#[path = "http/pools.rs"]
mod pools;
#[path = "http/regions.rs"]
mod regions;
#[path = "http/resources.rs"]
mod resources;
#[path = "http/stopping.rs"]
mod stopping;
#[path = "http/tasks.rs"]
mod tasks;
#[path = "http/tenants/mod.rs"]
mod tenants;
#[path = "http/tending.rs"]
mod tending;
#[path = "http/tls.rs"]
mod tls;
#[path = "http/tokens.rs"]
mod tokens;
#[path = "http/webhooks.rs"]
mod webhooks;
#[path = "http/withheld.rs"]
mod withheld;
#[path = "http/workspaces.rs"]
mod workspaces;
