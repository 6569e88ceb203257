//! A cluster comes together in whatever order its nodes are started.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::cluster::Shape;
use crate::cluster::joining::Forming;
use crate::report::Goals;

/// How long nodes may take to stop and to come back.
const WITHIN: Duration = Duration::from_secs(30);

/// Between the starts of two nodes: the first of them waits alone for longer than an election takes.
const APART: Duration = Duration::from_millis(1_500);

/// Every order of three nodes.
const ORDERS: [[usize; 3]; 6] = [[2, 1, 0], [0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 2, 1], [1, 2, 0]];

pub(super) async fn any_order(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "formation", Ok).await?;
    let ran = async {
        for starts in ORDERS.iter().cycle().take(order.times) {
            sleep(Duration::from_secs(1)).await;
            eprintln!("formation: {starts:?}");
            stage.injected("stop of all", None);
            for node in starts {
                stage.cluster.nodes[*node].stop(WITHIN).await?;
            }
            for node in starts {
                stage.cluster.nodes[*node].start(None)?;
                sleep(APART).await;
            }
            for node in starts {
                stage.cluster.nodes[*node].answers(WITHIN).await?;
            }
            stage.cluster.leader(WITHIN).await?;
            stage.healed("stop of all", None);
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}

/// Nodes of a cluster that comes together at once: the founder and a follower, and one that joins through each.
const NODES: usize = 4;

pub(super) async fn at_once(order: &Order) -> Result<Ended, String> {
    form(order, "joining", |shape| Shape { nodes: NODES, forming: Forming::AtOnce, ..shape }).await
}

pub(super) async fn early(order: &Order) -> Result<Ended, String> {
    form(order, "early", |shape| Shape { forming: Forming::BeforeTheFounder, ..shape }).await
}

/// Forms a cluster in a way, and sees that what came together holds without the one through whom it did.
async fn form(order: &Order, name: &str, way: impl Fn(Shape) -> Shape) -> Result<Ended, String> {
    let mut holds = true;
    for round in 0..order.times {
        eprintln!("{name}: {} of {}", round + 1, order.times);
        let mut stage = Stage::begin(order, name, |shape| Ok(way(shape))).await?;
        let ran = async {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(WITHIN).await?;
            stage.injected("kill -9", Some(leader));
            stage.cluster.nodes[leader].kill().await;
            stage.cluster.leader(WITHIN).await?;
            stage.cluster.nodes[leader].start(None)?;
            stage.cluster.nodes[leader].answers(WITHIN).await?;
            stage.healed("kill -9", Some(leader));
            stage.cluster.wait_for_all(WITHIN).await
        }
        .await;
        holds &= stage.end(ran, Goals::FAILOVER).await?;
    }
    Ok(ended(holds))
}
