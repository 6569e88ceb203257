//! Nodes that are restarted in order, one after the other, as an upgrade does it.
//!
//! Source: reliability plan T35.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::history::{Answer, Request, calls};
use crate::report::Goals;

/// How long a node may take to stop and to come back.
const WITHIN: Duration = Duration::from_secs(30);

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
    // A submit with a key that no try got through is a failed request.
    let records = history.records();
    let mut open = std::collections::BTreeSet::new();
    let mut tried = 0;
    for call in calls(&records) {
        let Request::Submit { key: Some(key), .. } = call.request else { continue };
        tried += 1;
        match call.answer {
            Some(Answer::Submitted { .. }) => drop(open.remove(key)),
            _ => drop(open.insert(key)),
        }
    }
    println!("  requests: {tried} submits with a key, {} that no further try healed", open.len());
    Ok(ended(holds && open.is_empty() && tried > 0))
}
