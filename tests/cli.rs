//! The binary: what a person types, what comes back, and with which exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/support.rs"]
mod support;

#[cfg(unix)]
#[path = "cli/cluster.rs"]
mod cluster;
#[path = "cli/continuing.rs"]
mod continuing;
#[path = "cli/embed.rs"]
mod embed;
#[path = "cli/looking.rs"]
mod looking;
#[path = "cli/orphans.rs"]
mod orphans;
#[path = "cli/refusing.rs"]
mod refusing;
#[path = "cli/running.rs"]
mod running;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/settings.rs"]
mod settings;
#[cfg(unix)]
#[path = "cli/simulate.rs"]
mod simulate;
