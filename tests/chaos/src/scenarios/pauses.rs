//! Processes that are stopped where they stand: the leader, which wakes up and still believes that it leads, and a
//! follower, which takes connections and never answers.
//!
//! Source: reliability plan T18, T19 and T28; a long pause of a process or of its machine.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::report::Goals;

/// Longer than any election, and than the silence of the leases.
const PAUSE: Duration = Duration::from_secs(6);

/// How long another node may take to lead.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn leader(order: &Order) -> Result<Ended, String> {
    let stage = Stage::begin(order, "pause-leader", Ok).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(LEAD_WITHIN).await?;
            eprintln!("pause-leader: {} of {}, node {leader}", round + 1, order.times);
            stage.injected("SIGSTOP", Some(leader));
            stage.cluster.nodes[leader].pause();
            sleep(PAUSE).await;
            // What stood in its sockets is answered as soon as it wakes: nothing of that may be stale.
            stage.cluster.nodes[leader].wake();
            stage.healed("SIGSTOP", Some(leader));
            stage.cluster.leader(LEAD_WITHIN).await?;
        }
        Ok(())
    }
    .await;
    // Clients wait for answers of the stopped node before they ask another, so the time is theirs in part; those
    // that ask the others are not held up.
    stage.end(ran, Goals::FAILOVER).await.map(ended)
}

pub(super) async fn follower(order: &Order) -> Result<Ended, String> {
    let stage = Stage::begin(order, "hung-peer", Ok).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(LEAD_WITHIN).await?;
            let follower = (leader + 1 + round % 2) % stage.cluster.nodes.len();
            eprintln!("hung-peer: {} of {}, node {follower}", round + 1, order.times);
            stage.injected("SIGSTOP", Some(follower));
            stage.cluster.nodes[follower].pause();
            sleep(PAUSE * 2).await;
            stage.cluster.nodes[follower].wake();
            stage.healed("SIGSTOP", Some(follower));
        }
        Ok(())
    }
    .await;
    // Nobody has to be elected: writes go on at once.
    let goals =
        Goals { p50: Duration::from_millis(500), p99: Duration::from_secs(1), max: Duration::from_secs(1) };
    stage.end(ran, goals).await.map(ended)
}
