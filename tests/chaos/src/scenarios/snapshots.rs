//! A node that was away for so long that the log it needs is gone: it is sent a snapshot, and killed meanwhile. A
//! round in which none was sent fails.
//!
//! Source: reliability plan T24 and T25.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::report::Goals;

/// How long a node may take until it answers again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// How long a node is away: some hundred entries, with several snapshots among them.
const AWAY: Duration = Duration::from_secs(6);

/// What a node says in its log when it has taken over a snapshot of another.
const INSTALLED: &str = "a snapshot of another node was installed";

/// When it is killed after it came back: before, during and after the snapshot arrives.
const KILLED_AFTER_MS: [u64; 5] = [50, 150, 300, 600, 1_200];

pub(super) async fn install_and_kill(order: &Order) -> Result<Ended, String> {
    let shape = |shape: crate::cluster::Shape| {
        let shape = shape.with("SYNOD_SNAPSHOTS__LOG_ENTRIES", "100");
        Ok(shape.with("SYNOD_SNAPSHOTS__LOG_BYTES", "50000").with("SYNOD_LOG__LEVEL", "info"))
    };
    let mut stage = Stage::begin(order, "snapshot", shape).await?;
    let ran = async {
        for round in 0..order.times {
            let leader = stage.cluster.leader(BACK_WITHIN).await?;
            let node = (leader + 1) % stage.cluster.nodes.len();
            eprintln!("snapshot: {} of {}, node {node}", round + 1, order.times);
            let before = stage.cluster.nodes[node].said(INSTALLED);
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
            // Without one the round has shown nothing.
            let until = tokio::time::Instant::now() + BACK_WITHIN;
            while stage.cluster.nodes[node].said(INSTALLED) == before {
                if tokio::time::Instant::now() > until {
                    return Err(format!("round {}: node {node} was sent no snapshot", round + 1));
                }
                sleep(Duration::from_millis(100)).await;
            }
            sleep(Duration::from_secs(2)).await;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}
