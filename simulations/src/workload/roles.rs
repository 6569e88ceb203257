//! Somebody who changes who votes and who leads: takes a vote and gives it back, one at a time, and lets another lead.
//!
//! At the end of new work everybody votes again, through every crash: a cluster that began with so many votes shall
//! survive what it was to survive.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod::node::Node;
use synod::node::domain::id::NodeId;
use synod::node::domain::node::NodeRole;
use tokio::time::{sleep, timeout};

use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::REGENT;
use crate::workload::question::ask;

/// The pause between two tries to let all vote again.
const AGAIN: Duration = Duration::from_millis(500);

/// How long it takes until a node that shall vote, or not, is counted as one that does not.
const COUNTED: Duration = Duration::from_millis(500);

/// How long it waits for another to lead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Changes things until the world settles, then takes everything back.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let mut stream = shared.streams.open(&format!("{REGENT} life {life}"));
    while shared.phase() == Phase::Busy {
        if stream.happens(50) {
            let call = async { node.transfer_leadership(None).await.map(drop) };
            let name = REGENT.into();
            let asked = ask(&shared, &name, Request::Transfer, call, |()| Answer::Done);
            // Whoever gives up does not know what became of it.
            let _ = timeout(PATIENCE, asked).await;
        } else {
            let voteless = voteless(&node);
            let all: Vec<NodeId> = node.read(|state| state.nodes().map(|known| known.spec.id).collect());
            match voteless.first() {
                Some(chosen) => change(&node, &shared, *chosen, NodeRole::Voter).await,
                // Of two nobody can be spared, and of three only while the others are whole.
                None if all.len() > 2 && !shared.misses_one.load(Ordering::Relaxed) => {
                    if let Some(chosen) = stream.pick(&all) {
                        change(&node, &shared, *chosen, NodeRole::Worker).await;
                    }
                }
                None => {}
            }
        }
        let pause = stream.millis(500, 5_000);
        // By then every node that hears anything has counted the votes again.
        sleep(COUNTED).await;
        shared.votes_move.store(false, Ordering::Relaxed);
        sleep(pause.saturating_sub(COUNTED)).await;
    }
    while shared.phase() != Phase::Closing {
        for chosen in voteless(&node) {
            change(&node, &shared, chosen, NodeRole::Voter).await;
        }
        sleep(AGAIN).await;
    }
}

fn voteless(node: &Node) -> Vec<NodeId> {
    node.read(|state| {
        let workers = state.nodes().filter(|known| known.role == NodeRole::Worker);
        workers.map(|known| known.spec.id).collect()
    })
}

async fn change(node: &Node, shared: &Machine, of: NodeId, role: NodeRole) {
    shared.votes_move.store(true, Ordering::Relaxed);
    let call = node.set_node_role(of, role);
    // What it could not do is noted with its answer.
    let _ = ask(shared, &REGENT.into(), Request::SetRole { node: of, role }, call, |()| Answer::Done).await;
}
