//! A node whose disk is full while the others go on, and nodes that lose their power with all that was not synced.
//!
//! Source: reliability plan T4, T5 and T12; NATS issues 7564 and 7567 for what goes wrong elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::cluster::Shape;
use crate::disks::{LoopDisk, SmallDisk};
use crate::report::Goals;

/// The size of the small disk: what a node wants to find free before it takes work, and room for the run.
const SIZE: &str = "1g";

/// The size of a disk whose power is lost, in megabytes.
const LOOP_MEGABYTES: u64 = 1_024;

/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(8);

/// How long another node may take to lead, and one to come back.
const WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn full(order: &Order) -> Result<Ended, String> {
    let at = folder(order, "small");
    let disk = match SmallDisk::make(&at, SIZE) {
        Ok(disk) => disk,
        Err(why) => return Ok(Ended::Skipped(why)),
    };
    let data = vec![(0, at.join("data"))];
    let stage = Stage::begin(order, "disk-full", |shape| Ok(Shape { data, ..shape })).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            // In turn as a follower and as the leader.
            let wanted = (round + 1) % 2;
            lead(&stage, wanted).await?;
            eprintln!("disk-full: {} of {}, node {wanted} leads", round + 1, order.times);
            stage.injected("disk full", Some(0));
            disk.fill();
            sleep(FULL).await;
            disk.free();
            stage.healed("disk full", Some(0));
            stage.cluster.leader(WITHIN).await?;
        }
        Ok(())
    }
    .await;
    let ends = stage.end(ran, Goals::LOOSE).await.map(ended);
    drop(disk);
    let _ = std::fs::remove_dir_all(&at);
    ends
}

/// Lets a node lead.
async fn lead(stage: &Stage, wanted: usize) -> Result<(), String> {
    let id = stage.cluster.view(wanted).await.ok_or("the node that shall lead does not answer")?.id;
    let leader = stage.cluster.leader(WITHIN).await?;
    if leader == wanted {
        return Ok(());
    }
    let mut link = stage.cluster.link(leader);
    let outcome = link.post("/api/v1/cluster/transfer", &json!({ "to": id }), None, WITHIN).await;
    outcome.success().ok_or_else(|| format!("node {wanted} is not made leader: {outcome:?}"))?;
    stage.cluster.leader(WITHIN).await.map(drop)
}

/// Takes the power of one node in odd rounds and of all at once in even ones.
pub(super) async fn power_loss(order: &Order) -> Result<Ended, String> {
    let at = folder(order, "power");
    let mut disks = Vec::new();
    for node in 0..3 {
        match LoopDisk::make(&at.join(format!("n{node}")), LOOP_MEGABYTES) {
            Ok(disk) => disks.push(disk),
            Err(why) => return Ok(Ended::Skipped(why)),
        }
    }
    let data = disks.iter().map(|disk| disk.at().join("data")).enumerate().collect();
    let mut stage = Stage::begin(order, "power-loss", |shape| Ok(Shape { data, ..shape })).await?;
    let ran = async {
        for round in 0..order.times {
            sleep(Duration::from_secs(2)).await;
            let leader = stage.cluster.leader(WITHIN).await?;
            let hit: Vec<usize> = if round % 2 == 0 { vec![0, 1, 2] } else { vec![leader] };
            eprintln!("power-loss: {} of {}, nodes {hit:?}", round + 1, order.times);
            stage.injected("power loss", (hit.len() == 1).then_some(leader));
            // Stopped first: at the moment of the loss none of them can have written what another has lost.
            for node in &hit {
                stage.cluster.nodes[*node].pause();
            }
            for node in &hit {
                disks[*node].lose_power()?;
            }
            for node in &hit {
                stage.cluster.nodes[*node].kill().await;
                disks[*node].come_back()?;
                stage.cluster.nodes[*node].start(None)?;
            }
            for node in &hit {
                stage.cluster.nodes[*node].answers(WITHIN).await?;
            }
            stage.cluster.leader(WITHIN).await?;
            stage.healed("power loss", None);
        }
        Ok(())
    }
    .await;
    let ends = stage.end(ran, Goals::LOOSE).await.map(ended);
    drop(disks);
    let _ = std::fs::remove_dir_all(&at);
    ends
}

fn folder(order: &Order, name: &str) -> PathBuf {
    order.folder.join(format!("{name}-{}", std::process::id()))
}
