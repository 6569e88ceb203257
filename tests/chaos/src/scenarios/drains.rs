//! Nodes that give their agents away, one after the other, while all agents have work.
//!
//! Source: issue "What moves", `synod node drain NODE` moves agents away without losing a task. An attempt is not cut off
//! by it either: who drains waits for what its agents have in hand.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Ended, Order, Stage, ended};
use crate::history::{Fact, Record, is_hosted};
use crate::http::Outcome;
use crate::report::Goals;

/// How long a node may take to give its agents away, and to take some again.
const WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at a node that drains.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many lost attempts are told.
const SHOWN: usize = 10;

pub(super) async fn one_after_the_other(order: &Order) -> Result<Ended, String> {
    let stage = Stage::begin(order, "drain", Ok).await?;
    let mut moved = 0;
    let ran = async {
        for round in 0..order.times {
            for node in 0..stage.cluster.nodes.len() {
                hosts(&stage, node, |agents| agents > 0).await?;
                eprintln!("drain: {} of {}, node {node}", round + 1, order.times);
                stage.injected("drain", Some(node));
                moved += ask(&stage, node, "drain").await?;
                hosts(&stage, node, |agents| agents == 0).await?;
                // Work goes on elsewhere for a while.
                sleep(Duration::from_secs(2)).await;
                ask(&stage, node, "undrain").await?;
                stage.healed("drain", Some(node));
            }
        }
        Ok(())
    }
    .await;
    let history = stage.history.clone();
    let holds = stage.end(ran, Goals::LOOSE).await?;
    let lost = lost(&history.records());
    println!("  drained: {moved} agents moved, {} attempts of theirs lost", lost.len());
    for story in lost.iter().take(SHOWN) {
        println!("  BROKEN  {story}");
    }
    Ok(ended(holds && lost.is_empty() && moved > 0))
}

/// Asks a node to drain or to serve again, through another; returns how many agents it hosted.
async fn ask(stage: &Stage, node: usize, what: &str) -> Result<u64, String> {
    let id = stage.cluster.view(node).await.ok_or("the node does not answer")?.id;
    let (path, body) = (format!("/api/v1/nodes/{id}/{what}"), json!({}));
    let until = Instant::now() + WITHIN;
    loop {
        let mut through = stage.cluster.link((node + 1) % stage.cluster.nodes.len());
        let outcome = through.post(&path, &body, None, WITHIN).await;
        if let Some(answer) = outcome.success() {
            return Ok(answer["agents"].as_u64().unwrap_or(0));
        }
        if Instant::now() > until {
            return Err(format!("{id} does not {what}: {outcome:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until a node hosts as many agents as it should.
async fn hosts(stage: &Stage, node: usize, should: impl Fn(u64) -> bool) -> Result<(), String> {
    let id = stage.cluster.view(node).await.ok_or("the node does not answer")?.id;
    let until = Instant::now() + WITHIN;
    loop {
        let outcome = stage.cluster.link(node).get(&format!("/api/v1/nodes/{id}"), WITHIN).await;
        if let Outcome::Answer { status: 200, body } = &outcome
            && should(body["agents"].as_u64().unwrap_or(0))
        {
            return Ok(());
        }
        if Instant::now() > until {
            let shown: &Value = outcome.success().unwrap_or(&Value::Null);
            return Err(format!("node {node} does not host what it should: {shown}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Returns the stories of tasks of hosted agents that lost an attempt; they fail now and then, and nothing takes one away.
fn lost(history: &[Record]) -> Vec<String> {
    let found = history.iter().filter_map(|record| match &record.fact {
        Fact::Found { node: 0, task } => Some(task),
        _ => None,
    });
    let hosted = found.filter(|task| task.mark.as_deref().is_some_and(is_hosted));
    hosted.filter(|task| task.story.contains(": lost ")).map(|task| task.story.clone()).collect()
}
