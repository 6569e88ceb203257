//! A node that was away for so long that the log it needs is gone: it is sent a snapshot, and killed while that comes. A
//! round in which none was sent fails, and so does a run in which no kill fell into one.
//!
//! Source: reliability plan T24 and T25.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Ended, Order, Stage, ended};
use crate::cluster::node::Node;
use crate::report::Goals;
use crate::workload::Load;

/// How long a node may take until it answers again, or to be sent a snapshot.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// How long a node is away: some hundred entries.
const AWAY: Duration = Duration::from_secs(6);

/// What a node says in its log when it has taken over a snapshot of another.
const INSTALLED: &str = "a snapshot of another node was installed";

/// How the file is called into which a snapshot comes. It has lost its name by then, and stays open until the snapshot
/// is taken over.
const SPOOL: &str = "spool.tmp";

/// Between two looks whether a snapshot comes: one of some megabytes takes some ten milliseconds.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// How much of a snapshot must have come before the kill, in turn: its beginning, a first piece of it, several.
const BYTES: [u64; 3] = [0, 1, 1 << 20];

/// Bytes in every task, so that a snapshot has many pieces.
const PADDING: usize = 8 << 10;

/// How often a node is sent away in a round until a kill falls into a snapshot.
const TRIES: usize = 3;

pub(super) async fn install_and_kill(order: &Order) -> Result<Ended, String> {
    let shape = |shape: crate::cluster::Shape| {
        let shape = shape.with("SYNOD_SNAPSHOTS__LOG_ENTRIES", "300");
        Ok(shape.with("SYNOD_SNAPSHOTS__LOG_BYTES", "2000000").with("SYNOD_LOG__LEVEL", "info"))
    };
    let load = |load| Load { padding: PADDING, ..load };
    let mut stage = Stage::begin_with(order, "snapshot", shape, load).await?;
    let mut hits = 0;
    let ran = async {
        for round in 0..order.times {
            for _ in 0..TRIES {
                let leader = stage.cluster.leader(BACK_WITHIN).await?;
                let node = (leader + 1) % stage.cluster.nodes.len();
                let wanted = BYTES[round % BYTES.len()];
                eprintln!("snapshot: {} of {}, node {node}", round + 1, order.times);
                if let Some(bytes) = away_and_back(&mut stage, node, wanted).await? {
                    eprintln!("snapshot: killed with {bytes} bytes of one there");
                    hits += 1;
                    break;
                }
                eprintln!("snapshot: the whole was there before the kill");
            }
        }
        if hits == 0 {
            return Err("no kill fell into a snapshot, so nothing was shown of that".to_owned());
        }
        Ok(())
    }
    .await;
    let holds = stage.end(ran, Goals::LOOSE).await?;
    println!("  snapshots: {hits} kills while one came, of {} rounds", order.times);
    Ok(ended(holds))
}

/// Kills a node, lets it come back when it needs a snapshot, kills it again while that comes, and waits until one is taken
/// over. Returns how much had come at the second kill; `None` if that was too late.
async fn away_and_back(stage: &mut Stage, node: usize, wanted: u64) -> Result<Option<u64>, String> {
    stage.injected("kill -9", Some(node));
    stage.cluster.nodes[node].kill().await;
    sleep(AWAY).await;
    purge(stage).await?;
    let before = stage.cluster.nodes[node].said(INSTALLED);
    stage.cluster.nodes[node].start(None)?;
    let hit = stop_in_a_snapshot(&stage.cluster.nodes[node], wanted, before).await?;
    if hit.is_some() {
        stage.injected("kill -9 in a snapshot", Some(node));
        stage.cluster.nodes[node].kill().await;
        stage.cluster.nodes[node].start(None)?;
    }
    stage.cluster.nodes[node].answers(BACK_WITHIN).await?;
    stage.healed("kill -9", Some(node));
    let until = Instant::now() + BACK_WITHIN;
    while stage.cluster.nodes[node].said(INSTALLED) == before {
        if Instant::now() > until {
            return Err(format!("node {node} was sent no snapshot"));
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(2)).await;
    Ok(hit)
}

/// Lets the leader forget how it came to where it is. By itself it waits with that for a member that has just been sent a
/// snapshot, and may need what follows.
async fn purge(stage: &Stage) -> Result<(), String> {
    let leader = stage.cluster.leader(BACK_WITHIN).await?;
    let made =
        stage.cluster.link(leader).post("/api/v1/cluster/snapshot", &json!({}), None, BACK_WITHIN).await;
    made.success().map(drop).ok_or_else(|| format!("node {leader} makes no snapshot: {made:?}"))
}

/// Waits until so much of a snapshot has come to a node and stops its process there. Returns how much has, or `None` if
/// the snapshot was taken over before that; then the process goes on.
async fn stop_in_a_snapshot(node: &Node, wanted: u64, before: usize) -> Result<Option<u64>, String> {
    let until = Instant::now() + BACK_WITHIN;
    loop {
        if spooled(node).is_some_and(|bytes| bytes >= wanted) {
            node.pause();
            // It may have got on between the look and the stop.
            match spooled(node) {
                Some(bytes) if node.said(INSTALLED) == before => return Ok(Some(bytes)),
                _ => node.wake(),
            }
        } else if node.said(INSTALLED) > before {
            return Ok(None);
        }
        if Instant::now() > until {
            return Err(format!("{} was sent no snapshot: {}", node.name, node.last_words()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Returns how much of a snapshot has come to a node that has not taken it over yet.
fn spooled(node: &Node) -> Option<u64> {
    let files = Path::new("/proc").join(node.child.as_ref()?.id()?.to_string()).join("fd");
    files.read_dir().ok()?.flatten().find_map(|file| {
        let name = std::fs::read_link(file.path()).ok()?;
        let comes = name.to_string_lossy().contains(SPOOL);
        comes.then(|| std::fs::metadata(file.path()).map(|spool| spool.len()).unwrap_or(0))
    })
}
