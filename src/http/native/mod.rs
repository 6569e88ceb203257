//! The native API, `/api/v1`: a file for each resource, and a document that describes them all.
//!
//! Handlers translate and decide nothing: they read a request ([`read`], [`filter`], [`listing`]), use a verb of
//! the node, and show what came of it ([`shown`]).

mod access;
mod agents;
mod approvals;
pub(in crate::http) mod audit;
mod breakers;
mod budgets;
mod cluster;
mod dead_letters;
mod document;
mod events;
mod examples;
mod filter;
mod health;
mod hooks;
mod leases;
mod limits;
mod listing;
pub(in crate::http) mod mailboxes;
mod nodes;
pub(crate) mod policies;
mod pools;
mod problems;
pub(in crate::http) mod read;
mod resources;
mod rollouts;
mod runs;
pub(crate) mod shown;
mod tasks;
mod tending;
mod tokens;
mod webhooks;
mod workspaces;

pub(crate) use breakers::breaker_of;
pub(crate) use budgets::budget_of;
pub(crate) use limits::limit_of;
pub(crate) use policies::policy_of;
pub(crate) use webhooks::{webhook_of, webhook_that_might_be};

use std::time::Duration;

use crate::http::Routes;

/// How long a request may wait for something to happen. Longer ones are cut off by proxies in between.
const LONG_POLL_MAX: Duration = Duration::from_secs(60);

/// Returns all routes of the native API.
pub fn routes() -> Routes {
    let all = all();
    let document = document::routes(&all);
    all.merge(document)
}

/// Returns the document that describes the routes: OpenAPI 3.1.
pub fn document() -> serde_json::Value {
    document::describe(routes().table())
}

fn all() -> Routes {
    agents::routes()
        .merge(pools::routes())
        .merge(rollouts::routes())
        .merge(tasks::routes())
        .merge(leases::routes())
        .merge(dead_letters::routes())
        .merge(mailboxes::routes())
        .merge(breakers::routes())
        .merge(limits::routes())
        .merge(resources::routes())
        .merge(events::routes())
        .merge(runs::routes())
        .merge(hooks::routes())
        .merge(nodes::routes())
        .merge(cluster::routes())
        .merge(policies::routes())
        .merge(approvals::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(budgets::routes())
        .merge(access::routes())
        .merge(webhooks::routes())
        .merge(workspaces::routes())
}
