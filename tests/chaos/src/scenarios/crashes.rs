//! Nodes that are killed with SIGKILL.
//!
//! Source: reliability plan T1 to T3.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::cluster::Shape;
use crate::report::Goals;
use crate::workload::Load;

/// How long a node may take until it answers again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// Quiet between two faults, so that each one meets a cluster at work.
const QUIET: Duration = Duration::from_millis(1_500);

pub(super) async fn kill_leader(order: &Order) -> Result<Ended, String> {
    kill_leaders(order, "kill-leader", |load| load).await
}

/// The same, while somebody looks at everything that the nodes can show.
pub(super) async fn kill_leader_looked_at(order: &Order) -> Result<Ended, String> {
    kill_leaders(order, "looked-at", |load| Load { looked_at: true, ..load }).await
}

async fn kill_leaders(order: &Order, name: &str, load: impl FnOnce(Load) -> Load) -> Result<Ended, String> {
    let mut stage = Stage::begin_with(order, name, Ok, load).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(QUIET).await;
            let leader = stage.cluster.leader(BACK_WITHIN).await?;
            eprintln!("{name}: {} of {}, node {leader}", round + 1, order.times);
            stage.injected("kill -9", Some(leader));
            stage.cluster.nodes[leader].kill().await;
            stage.cluster.leader(BACK_WITHIN).await?;
            come_back(&mut stage, leader).await?;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::FAILOVER).await.map(ended)
}

pub(super) async fn kill_all(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "kill-all", Ok).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(QUIET).await;
            eprintln!("kill-all: {} of {}", round + 1, order.times);
            stage.injected("kill -9 of all", None);
            for node in &stage.cluster.nodes {
                node.signal(rustix::process::Signal::KILL);
            }
            for node in &mut stage.cluster.nodes {
                node.kill().await;
                node.start(None)?;
            }
            for node in &mut stage.cluster.nodes {
                node.answers(BACK_WITHIN).await?;
            }
            stage.cluster.leader(BACK_WITHIN).await?;
            stage.healed("kill -9 of all", None);
        }
        Ok(())
    }
    .await;
    let goals =
        Goals { p50: Duration::from_secs(5), p99: Duration::from_secs(10), max: Duration::from_secs(10) };
    stage.end(ran, goals).await.map(ended)
}

pub(super) async fn kill_alone(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "alone", |shape| Ok(Shape { nodes: 1, ..shape })).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(QUIET).await;
            eprintln!("alone: {} of {}", round + 1, order.times);
            stage.injected("kill -9", Some(0));
            stage.cluster.nodes[0].kill().await;
            come_back(&mut stage, 0).await?;
        }
        Ok(())
    }
    .await;
    let goals =
        Goals { p50: Duration::from_secs(5), p99: Duration::from_secs(10), max: Duration::from_secs(10) };
    stage.end(ran, goals).await.map(ended)
}

pub(super) async fn kill_any(order: &Order) -> Result<Ended, String> {
    let mut stage = Stage::begin(order, "kill-any", Ok).await?;
    let mut chance = StdRng::seed_from_u64(stage.seed);
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let node = chance.random_range(0..stage.cluster.nodes.len());
            eprintln!("kill-any: {} of {}, node {node}", round + 1, order.times);
            stage.injected("kill -9", Some(node));
            stage.cluster.nodes[node].kill().await;
            // Sometimes it is back before anybody noticed, sometimes long after.
            sleep(Duration::from_millis(chance.random_range(0..3_000))).await;
            come_back(&mut stage, node).await?;
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::LOOSE).await.map(ended)
}

async fn come_back(stage: &mut Stage, node: usize) -> Result<(), String> {
    stage.cluster.nodes[node].start(None)?;
    stage.cluster.nodes[node].answers(BACK_WITHIN).await?;
    stage.healed("kill -9", Some(node));
    Ok(())
}
