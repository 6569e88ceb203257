//! Nodes that come and go: one that joins and one that is removed while another is cut off, and one whose disk was
//! emptied.
//!
//! Source: reliability plan T26 and T27.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::partitions::network_of;
use super::{Ended, Order, Stage, ended};
use crate::cluster::Shape;
use crate::cluster::namespaces::Namespaces;
use crate::http::Outcome;
use crate::report::Goals;

/// How long joining, leading and coming back may take.
const WITHIN: Duration = Duration::from_secs(60);

/// Between two tries to remove a node; a change of members takes a round among them.
const AGAIN: Duration = Duration::from_millis(200);

/// Nodes of the cluster whose members change.
const NODES: usize = 5;

/// How long a node that must not come back is watched.
const WATCH: Duration = Duration::from_secs(5);

pub(super) async fn change_in_partition(order: &Order) -> Result<Ended, String> {
    if let Err(why) = Namespaces::make(1) {
        return Ok(Ended::Skipped(why));
    }
    // So many that one can be cut off and one killed while the others still agree.
    let shape = |shape| Ok(Shape { namespaces: true, nodes: NODES, ..shape });
    let mut stage = Stage::begin(order, "membership", shape).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(WITHIN).await?;
            let (cut_off, leaves) = ((leader + 1) % NODES, (leader + 2) % NODES);
            eprintln!(
                "membership: {} of {}: node {cut_off} cut off, node {leaves} goes",
                round + 1,
                order.times
            );
            let id = stage.cluster.view(leaves).await.ok_or("the node that shall go does not answer")?.id;
            stage.injected("partition", Some(cut_off));
            for other in (0..NODES).filter(|other| *other != cut_off) {
                network_of(&mut stage)?.cut(cut_off, other)?;
                network_of(&mut stage)?.cut(other, cut_off)?;
            }
            stage.cluster.nodes[leaves].kill().await;
            let leader = stage.cluster.leader(WITHIN).await?;
            remove(&stage, leader, &id).await?;
            stage.cluster.nodes[leaves].wipe()?;
            stage.cluster.join(leaves).await?;
            network_of(&mut stage)?.heal()?;
            stage.healed("partition", Some(cut_off));
            stage.cluster.wait_for_all(WITHIN).await?;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}

pub(super) async fn wiped(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "wiped", Ok).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(WITHIN).await?;
            let node = (leader + 1 + round % 2) % stage.cluster.nodes.len();
            eprintln!("wiped: {} of {}, node {node}", round + 1, order.times);
            let id = stage.cluster.view(node).await.ok_or("the node does not answer")?.id;
            stage.injected("emptied disk", Some(node));
            stage.cluster.nodes[node].kill().await;
            // Only the log and the state are gone; who the node is has stayed. It must not vote with an empty memory.
            forget(&stage, node)?;
            stage.cluster.nodes[node].start(None)?;
            sleep(WATCH).await;
            if stage.cluster.nodes[node].ended().is_none() {
                let view = stage.cluster.view(node).await;
                return Err(format!("a node whose log was emptied runs on under its old id: {view:?}"));
            }
            stage.cluster.nodes[node].kill().await;
            stage.cluster.nodes[node].wipe()?;
            let leader = stage.cluster.leader(WITHIN).await?;
            remove(&stage, leader, &id).await?;
            stage.cluster.join(node).await?;
            stage.healed("emptied disk", Some(node));
            stage.cluster.wait_for_all(WITHIN).await?;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}

/// Removes everything from a data folder but the node's identity.
fn forget(stage: &Stage, node: usize) -> Result<(), String> {
    let data = &stage.cluster.nodes[node].data;
    let entries = std::fs::read_dir(data).map_err(|error| error.to_string())?;
    for entry in entries.flatten().filter(|entry| entry.file_name() != "cluster") {
        let path = entry.path();
        let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        gone.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

async fn remove(stage: &Stage, through: usize, id: &str) -> Result<(), String> {
    let path = format!("/api/v1/nodes/{id}");
    let until = Instant::now() + WITHIN;
    loop {
        let outcome = stage.cluster.link(through).send("DELETE", &path, None::<&Value>, None, WITHIN).await;
        let gone = matches!(outcome, Outcome::Answer { status: 404, .. });
        if gone || outcome.success().is_some() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("{id} is not removed: {outcome:?}"));
        }
        sleep(AGAIN).await;
    }
}
