//! The client, the commands over it and remote workers, against the real binary.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "client/lossy.rs"]
mod lossy;
#[path = "client/support.rs"]
mod support;

#[path = "client/budgets.rs"]
mod budgets;
#[path = "client/commands.rs"]
mod commands;
#[path = "client/contexts.rs"]
mod contexts;
#[path = "client/exports.rs"]
mod exports;
#[path = "client/once.rs"]
mod once;
#[path = "client/printed.rs"]
mod printed;
#[path = "client/restarts.rs"]
mod restarts;
#[path = "client/streams.rs"]
mod streams;
#[path = "client/told.rs"]
mod told;
#[path = "client/webhooks.rs"]
mod webhooks;
#[path = "client/wire.rs"]
mod wire;
#[path = "client/workers.rs"]
mod workers;
