//! The fabric: the snippets of its guide, what the guide promises, and its limits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "fabric/support.rs"]
mod support;

#[path = "fabric/budgets.rs"]
mod budgets;
#[path = "fabric/guide.rs"]
mod guide;
#[path = "fabric/hooks.rs"]
mod hooks;
#[path = "fabric/integrations.rs"]
mod integrations;
#[path = "fabric/lifecycle.rs"]
mod lifecycle;
#[path = "fabric/limits.rs"]
mod limits;
#[path = "fabric/policies.rs"]
mod policies;
#[path = "fabric/pools.rs"]
mod pools;
#[path = "fabric/restarts.rs"]
mod restarts;
#[path = "fabric/scheduling.rs"]
mod scheduling;
