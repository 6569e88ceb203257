//! A node that was away for so long that the log it needs is gone: it is sent a snapshot, and killed meanwhile.
//!
//! Source: reliability plan T24 and T25.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::report::Goals;

/// How long a node may take until it answers again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// How long a node is away: some thousand entries, with many snapshots among them.
const AWAY: Duration = Duration::from_secs(6);

/// When it is killed after it came back: before, during and after the snapshot arrives.
const KILLED_AFTER_MS: [u64; 5] = [50, 150, 300, 600, 1_200];

pub(super) async fn install_and_kill(order: &Order) -> Result<Ended, String> {
    let shape = |shape: crate::cluster::Shape| {
        Ok(shape.with("SYNOD_SNAPSHOTS__LOG_ENTRIES", "500").with("SYNOD_SNAPSHOTS__LOG_BYTES", "1000000"))
    };
    let mut stage = Stage::begin(order, "snapshot", shape).await?;
    let ran = async {
        for round in 0..order.times {
            let leader = stage.cluster.leader(BACK_WITHIN).await?;
            let node = (leader + 1) % stage.cluster.nodes.len();
            eprintln!("snapshot: {} of {}, node {node}", round + 1, order.times);
            stage.injected("kill -9", Some(node));
            stage.cluster.nodes[node].kill().await;
            sleep(AWAY).await;
            stage.cluster.nodes[node].start(None)?;
            sleep(Duration::from_millis(KILLED_AFTER_MS[round % KILLED_AFTER_MS.len()])).await;
            stage.injected("kill -9 in a snapshot", Some(node));
            stage.cluster.nodes[node].kill().await;
            stage.cluster.nodes[node].start(None)?;
            stage.cluster.nodes[node].answers(BACK_WITHIN).await?;
            stage.healed("kill -9", Some(node));
            sleep(Duration::from_secs(2)).await;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}
