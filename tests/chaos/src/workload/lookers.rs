//! Somebody at every node who looks at all that it can show, again and again: agents, pools, nodes, mailboxes, figures.
//!
//! What is shown is held against nothing; but a list that is made while the state changes may not hold up the node, and a
//! node that is held up is found by everybody else.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Shared;
use crate::client::TRY_WITHIN;
use crate::http::{Link, Outcome};

/// What is looked at. As old as it may be: the question is not for the leader.
const PAGES: [&str; 6] = [
    "/api/v1/agents?limit=100&consistency=stale",
    "/api/v1/pools?limit=100&consistency=stale",
    "/api/v1/nodes?limit=100&consistency=stale",
    "/api/v1/mailboxes?limit=100&consistency=stale",
    "/api/v1/tasks?limit=20&consistency=stale",
    "/api/v1/stats?consistency=stale",
];

/// Between two looks of one: often enough to meet a change, and little beside the load.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) fn begin(shared: &Shared, tasks: &mut JoinSet<()>) {
    for node in 0..shared.doors.places.len() {
        tasks.spawn(look(shared.clone(), node));
    }
}

async fn look(shared: Shared, node: usize) {
    let mut link = Link::new(shared.doors.places[node].clone(), &shared.doors.token);
    while shared.submits() {
        for page in PAGES {
            // One that is killed or stopped says nothing either; for whoever reads why a run does not hold.
            if let Outcome::Lost(why) = link.get(page, TRY_WITHIN).await {
                eprintln!("node {node}: {page}: {why}");
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
