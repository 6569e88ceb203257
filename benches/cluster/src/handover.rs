//! A graceful change of leader under writes: how long the longest write took meanwhile, and how many tries failed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::failover::{Written, ours, write};
use crate::{Args, folder, percentile, synod};

/// Quiet around a change, so that every write that it held up is counted.
const QUIET: Duration = Duration::from_secs(1);

pub(crate) async fn measure(args: &Args, dir: &Path) -> bool {
    println!(
        "| change of leader by request at {} writes/s, {} times | p50 | p99 | longest | tries that failed |",
        args.rate, args.kills
    );
    println!("|---|---:|---:|---:|---:|");
    let changes = changes(args, &folder(dir, "handover")).await;
    let whole = changes.is_ok();
    match changes {
        Ok((mut took, failed)) => {
            took.sort();
            let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&took, percent).as_millis());
            println!(
                "| the longest write meanwhile (goal 200 ms) | {p50} ms | {p99} ms | {max} ms | {failed} |"
            );
        }
        Err(why) => println!("| not measured: {why} | | | | |"),
    }
    println!();
    whole
}

async fn changes(args: &Args, home: &Path) -> Result<(Vec<Duration>, usize), String> {
    let cluster = synod::three(&args.synod, home).await?;
    let written: Arc<std::sync::Mutex<Written>> = Arc::default();
    let mut writers = write(&ours(&cluster), args.rate, &written);
    sleep(QUIET).await;
    let mut took = Vec::new();
    for round in 0..args.kills {
        sleep(QUIET).await;
        let leader = cluster.leader(synod::LEAD_WITHIN).await?;
        eprintln!("handover: {} of {}", round + 1, args.kills);
        let start = Instant::now();
        let path = "/api/v1/cluster/transfer";
        let outcome = cluster.link(leader).post(path, &json!({}), None, synod::LEAD_WITHIN).await;
        outcome.success().ok_or_else(|| format!("{outcome:?}"))?;
        sleep(QUIET).await;
        let written = written.lock().expect("nobody panics here");
        let meanwhile = written.writes.iter().filter(|(_, answered)| *answered >= start);
        took.push(meanwhile.map(|(asked, answered)| *answered - *asked).max().unwrap_or_default());
    }
    writers.shutdown().await;
    synod::stop(cluster).await;
    let failed = written.lock().expect("nobody panics here").failed;
    Ok((took, failed))
}
