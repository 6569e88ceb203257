//! Nodes that are restarted in order, one after the other, as an upgrade does it.
//!
//! Source: reliability plan T35.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::judges::unhealed::Insisted;
use crate::report::Goals;

/// How long a node may take to stop and to come back.
const WITHIN: Duration = Duration::from_secs(30);

/// Requests without which a run has not shown that they get through.
const KINDS: [&str; 4] = ["submits", "claims", "completions", "failures"];

/// How many requests that stayed open are told.
const SHOWN: usize = 10;

pub(super) async fn rolling(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "rolling", Ok).await?;
    let ran = async {
        for round in 0..order.times {
            for node in 0..stage.cluster.nodes.len() {
                sleep(Duration::from_secs(1)).await;
                eprintln!("rolling: {} of {}, node {node}", round + 1, order.times);
                stage.injected("SIGTERM", Some(node));
                stage.cluster.nodes[node].stop(WITHIN).await?;
                stage.cluster.nodes[node].start(None)?;
                stage.cluster.nodes[node].answers(WITHIN).await?;
                stage.healed("SIGTERM", Some(node));
                stage.cluster.wait_for_all(WITHIN).await?;
            }
        }
        Ok(())
    }
    .await;
    let history = stage.history.clone();
    let goals =
        Goals { p50: Duration::from_millis(200), p99: Duration::from_secs(1), max: Duration::from_secs(3) };
    let holds = stage.end(ran, goals).await?;
    let insisted = Insisted::of(&history.records());
    let kinds: Vec<String> = insisted.asked.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("  requests: {}; {} that no further try healed", kinds.join(", "), insisted.open.len());
    for open in insisted.open.iter().take(SHOWN) {
        println!("  BROKEN  {} after {} tries", open.what, open.tries);
    }
    Ok(ended(holds && insisted.open.is_empty() && KINDS.iter().all(|kind| insisted.asked.contains_key(kind))))
}
