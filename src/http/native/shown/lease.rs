//! Leases: as part of a task, and as what a claim gives.

use std::sync::Arc;

use synod_domain::reply::Assignment;
use synod_domain::task::{Lease, Task};
use synod_domain::time::Timestamp;

use super::{Detail, task, time};
use crate::api;
use crate::http::Problem;
use crate::node::Node;

/// Shows a lease.
pub(crate) fn lease(lease: &Lease) -> api::Lease {
    api::Lease {
        agent: lease.agent.to_string(),
        attempt: lease.attempt,
        granted_at: time(lease.granted_at),
        expires_at: expiry(lease.expires_at),
        heard_at: time(lease.heard_at),
        over_budget_at: None,
    }
}

/// Shows a task in the hands of its claimer, payload included.
pub(crate) async fn leased(
    node: &Node,
    found: &Arc<Task>,
    lease: &Assignment,
) -> Result<api::LeasedTask, Problem> {
    Ok(api::LeasedTask {
        task: task(node, found, Detail::Whole).await?,
        attempt: lease.attempt,
        expires_at: expiry(lease.expires_at),
    })
}

fn expiry(at: Timestamp) -> Option<String> {
    (at != Timestamp::NEVER).then(|| time(at))
}
