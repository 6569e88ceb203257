//! A cluster comes together in whatever order its nodes are started.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
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
