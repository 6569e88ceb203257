//! The node over HTTP.
//!
//! ```text
//!  connection ─► server ─► guard (Host, Origin, size, time) ─► routes (token, rate, permission) ─► handler
//!                                                                                                    │
//!                                       Problem ◄── one table from error to status ◄─────────────────┤
//!                                                                                                    ▼
//!                                                                                              crate::node
//! ```
//!
//! Handlers translate between [`crate::api`] and the verbs of [`crate::node::Node`]; they decide nothing.
//! Every route declares what it needs when it is added ([`routes::Routes`]); there is no other way to add one.

pub mod compat;
pub mod context;
pub mod first_token;
pub mod guard;
pub mod idempotency;
pub mod native;
pub mod server;
pub mod tls;
pub mod token_text;

mod caller;
mod checked;
mod consistency;
mod extract;
mod health;
mod problem;
mod rates;
mod reach;
mod regions;
mod routes;
mod stopping;

pub use caller::Caller;
pub use context::{Context, StreamPermit};
pub use extract::{Body, InPath, InQuery, JSON_DEPTH_MAX, read_json, read_object};
pub use guard::app;
pub use idempotency::{Again, Once};
pub use problem::{Problem, ProblemForm, RequestName};
pub use rates::Rate;
pub use reach::{Reach, Thing};
pub use routes::{Needs, Route, Routes, Terms};
pub use server::{Peer, Server};
pub use token_text::TokenText;

use crate::node::sight;

/// Returns all routes of a node.
pub fn routes() -> Routes {
    health::routes().merge(native::routes()).merge(compat::routes())
}
