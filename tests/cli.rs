//! The binary: what a person types, what comes back, and with which exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/support.rs"]
mod support;

#[cfg(unix)]
#[path = "cli/cluster.rs"]
mod cluster;
#[path = "cli/continuing.rs"]
mod continuing;
#[cfg(unix)]
#[path = "cli/dying.rs"]
mod dying;
#[path = "cli/embed.rs"]
mod embed;
#[cfg(unix)]
#[path = "cli/governed.rs"]
mod governed;
#[cfg(unix)]
#[path = "cli/hooks.rs"]
mod hooks;
#[path = "cli/looking.rs"]
mod looking;
#[cfg(unix)]
#[path = "cli/members.rs"]
mod members;
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
#[cfg(unix)]
#[path = "cli/spending.rs"]
mod spending;
#[cfg(unix)]
#[path = "cli/strangers.rs"]
mod strangers;
#[cfg(unix)]
#[path = "cli/telling.rs"]
mod telling;
#[cfg(unix)]
#[path = "cli/three.rs"]
mod three;
