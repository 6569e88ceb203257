//! Somebody who changes what the nodes of the cluster do: lets one give its agents away, and take some again.
//!
//! At the end of new work all take agents again, through every crash, or work for them would never end. Nodes that
//! leave and come, restart and lose their disks are faults, because nobody of the cluster has a say in them.

use std::sync::Arc;
use std::time::Duration;

use synod::node::Node;
use synod::node::domain::id::NodeId;

use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::STEWARD;
use crate::workload::question::ask;

/// The pause between two tries to let all take agents again.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a node gives its agents away, for people.
const REASON: &str = "the steward wants its machine";

/// Changes things until the world settles, then takes everything back.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let mut stream = shared.streams.open(&format!("{STEWARD} life {life}"));
    while shared.phase() == Phase::Busy {
        // One at a time, as for an upgrade.
        let draining = draining(&node);
        let all: Vec<NodeId> = node.read(|state| state.nodes().map(|known| known.spec.id).collect());
        match draining.first() {
            Some(drained) => change(&node, &shared, *drained, false).await,
            None if all.len() > 1 => {
                if let Some(chosen) = stream.pick(&all) {
                    change(&node, &shared, *chosen, true).await;
                }
            }
            None => {}
        }
        let pause = stream.millis(1_000, 6_000);
        tokio::time::sleep(pause).await;
    }
    loop {
        let left = draining(&node);
        if left.is_empty() {
            return;
        }
        for drained in left {
            change(&node, &shared, drained, false).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn draining(node: &Node) -> Vec<NodeId> {
    node.read(|state| {
        state.nodes().filter(|known| known.draining.is_some()).map(|known| known.spec.id).collect()
    })
}

async fn change(node: &Node, shared: &Machine, of: NodeId, drains: bool) {
    let call = node.drain_node(of, drains, REASON);
    // What it could not do is noted with its answer.
    let _ = ask(shared, &STEWARD.into(), Request::Drain { node: of, drains }, call, |()| Answer::Done).await;
}
