//! Hosted agents of a node that was killed: how long until as many as before run on the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use synod_chaos::cluster::Cluster;
use tokio::time::{Instant, sleep};

use crate::{Args, folder, percentile, synod};

/// Agents of the pool: some on every node.
const AGENTS: usize = 9;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) async fn measure(args: &Args, dir: &Path) -> bool {
    println!(
        "| kill -9 of a node with a third of {AGENTS} agents, {} times | p50 | p99 | longest |",
        args.kills
    );
    println!("|---|---:|---:|---:|");
    let mut took = Vec::new();
    let ended = moves(args, &folder(dir, "agents"), &mut took).await;
    if !took.is_empty() {
        took.sort();
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&took, percent).as_secs_f64());
        println!("| all agents run elsewhere (goal 5 s) | {p50:.2} s | {p99:.2} s | {max:.2} s |");
    }
    if let Err(why) = &ended {
        println!("| ended after {} of {} kills: {why} | | | |", took.len(), args.kills);
    }
    println!();
    ended.is_ok()
}

async fn moves(args: &Args, home: &Path, took: &mut Vec<Duration>) -> Result<(), String> {
    let mut cluster = synod::three(&args.synod, home).await?;
    let pool = json!({ "name": "movers", "min": AGENTS, "runtime": { "process": { "command": ["cat"] } } });
    let outcome = cluster.link(0).post("/api/v1/pools", &pool, None, synod::LEAD_WITHIN).await;
    outcome.success().ok_or_else(|| format!("the pool is not made: {outcome:?}"))?;
    run_on(&cluster, 3, None).await?;
    for round in 0..args.kills {
        let leader = cluster.leader(synod::LEAD_WITHIN).await?;
        let node = (leader + round % 3) % 3;
        eprintln!("agents: {} of {}", round + 1, args.kills);
        let id = cluster.view(node).await.ok_or("the node does not answer")?.id;
        let start = Instant::now();
        cluster.nodes[node].kill().await;
        let moved = run_on(&cluster, 2, Some(&id)).await;
        moved.map_err(|why| format!("node {node} was killed, node {leader} led: {why}"))?;
        took.push(start.elapsed());
        cluster.nodes[node].start(None)?;
        cluster.nodes[node].answers(synod::LEAD_WITHIN).await?;
        cluster.wait_for_all(synod::LEAD_WITHIN).await?;
        // It gets its share again; nothing moves by itself from those that work.
        sleep(Duration::from_secs(2)).await;
    }
    synod::stop(cluster).await;
    Ok(())
}

/// Waits until all agents of the pool are ready, on so many nodes at least and none on `gone`.
async fn run_on(cluster: &Cluster, nodes: usize, gone: Option<&str>) -> Result<(), String> {
    let until = Instant::now() + synod::LEAD_WITHIN;
    // What each node showed last, or why it showed nothing.
    let mut last: BTreeMap<usize, String> = BTreeMap::new();
    loop {
        for node in (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].runs()) {
            let outcome = cluster.link(node).get("/api/v1/agents?limit=100", LOOK_EVERY * 50).await;
            let Some(page) = outcome.success() else {
                last.insert(node, format!("{outcome:?}"));
                continue;
            };
            let ready = page["items"].as_array().into_iter().flatten().filter(|agent| {
                agent["pool"] == "movers" && (agent["status"] == "READY" || agent["status"] == "BUSY")
            });
            let hosts: Vec<&str> = ready.filter_map(|agent| agent["host"].as_str()).collect();
            let different: BTreeSet<&str> = hosts.iter().copied().collect();
            let elsewhere = gone.is_none_or(|gone| !different.contains(gone));
            if hosts.len() >= AGENTS && (gone.is_some() || different.len() >= nodes) && elsewhere {
                return Ok(());
            }
            last.insert(node, page["items"].to_string());
        }
        if Instant::now() > until {
            // How the nodes see the group does not wait for a leader.
            let mut views = Vec::new();
            for node in (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].runs()) {
                views.push((node, cluster.view(node).await.map(|view| view.whole.to_string())));
            }
            return Err(format!("the agents do not come to run: {last:?}; the nodes say {views:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}
