//! From the SIGKILL of a leader to the next acknowledged write that was asked for after it, at a steady rate.
//!
//! The same clients for both systems: each asks one member, and the next one when it gets no answer within
//! `TRY_WITHIN` or an error. Nobody tells them who leads.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use synod_chaos::cluster::{Cluster, here};
use synod_chaos::http::Link;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::etcd::Etcd;
use crate::{Args, folder, percentile, synod};

/// How long a client waits for one answer. The clients of etcd would wait for 5 s and more by themselves.
const TRY_WITHIN: Duration = Duration::from_secs(1);

/// Clients that share the rate: so many that there is always one that begins a request.
const CLIENTS: u32 = 50;

/// Quiet before a kill.
const QUIET: Duration = Duration::from_secs(2);

/// What a client writes to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) members: Vec<SocketAddr>,
    pub(crate) token: Arc<str>,
    pub(crate) path: &'static str,
    pub(crate) body: fn(u32, u64) -> Value,
}

/// Writes that were acknowledged, with the time of the question, and tries that failed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) writes: Vec<(Instant, Instant)>,
    pub(crate) failed: usize,
}

impl Written {
    /// Returns the time from `fault` to the answer of the first write asked for after it.
    pub(crate) fn outage(&self, fault: Instant) -> Option<Duration> {
        self.writes.iter().filter(|(asked, _)| *asked >= fault).map(|(_, answered)| *answered - fault).min()
    }
}

pub(crate) fn ours(cluster: &Cluster) -> Target {
    Target {
        members: cluster.nodes.iter().map(|node| node.api).collect(),
        token: cluster.token().into(),
        path: "/api/v1/tasks",
        body: |_, _| json!({ "type": "bench", "payload": "x" }),
    }
}

/// Begins to write at a rate; ends with the set.
pub(crate) fn write(target: &Target, rate: u32, into: &Arc<Mutex<Written>>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let (target, into) = (target.clone(), Arc::clone(into));
        tasks.spawn(async move {
            let link = |member: &SocketAddr| Link::new(here(*member), &target.token);
            let mut links: Vec<Link> = target.members.iter().map(link).collect();
            let mut at = usize::try_from(number).unwrap_or(0) % links.len();
            let every = Duration::from_secs(1) * CLIENTS / rate.max(1);
            let mut due = interval_at(Instant::now() + every * number / CLIENTS, every);
            due.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut count = 0;
            loop {
                due.tick().await;
                loop {
                    count += 1;
                    let body = (target.body)(number, count);
                    let asked = Instant::now();
                    let outcome = links[at].post(target.path, &body, None, TRY_WITHIN).await;
                    if note(&into, outcome.success().is_some().then_some(asked)) {
                        break;
                    }
                    at = (at + 1) % links.len();
                    sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    tasks
}

/// Notes a write that was acknowledged and when it was asked for, or a try that failed.
fn note(into: &Mutex<Written>, asked: Option<Instant>) -> bool {
    let mut into = into.lock().expect("nobody panics here");
    match asked {
        Some(asked) => into.writes.push((asked, Instant::now())),
        None => into.failed += 1,
    }
    asked.is_some()
}

pub(crate) async fn measure(args: &Args, dir: &Path) -> bool {
    println!(
        "| kill -9 of the leader at {} writes/s, {} times | p50 | p99 | longest |",
        args.rate, args.kills
    );
    println!("|---|---:|---:|---:|");
    let mut whole =
        row("synod (goal: p50 1 s, p99 2 s)", synod_outages(args, &folder(dir, "failover")).await);
    if let Ok(binary) = args.etcd() {
        whole &= row("etcd", etcd_outages(args, &binary, &folder(dir, "failover-etcd")).await);
    }
    println!();
    whole
}

/// Prints a row; returns whether it has figures.
fn row(name: &str, outages: Result<Vec<Duration>, String>) -> bool {
    let whole = outages.is_ok();
    match outages {
        Ok(mut outages) => {
            outages.sort();
            let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&outages, percent).as_secs_f64());
            println!("| {name} | {p50:.2} s | {p99:.2} s | {max:.2} s |");
        }
        Err(why) => println!("| {name} | not measured: {why} | | |"),
    }
    whole
}

async fn synod_outages(args: &Args, home: &Path) -> Result<Vec<Duration>, String> {
    let mut cluster = synod::three(&args.synod, home).await?;
    let target = ours(&cluster);
    let written = Arc::default();
    let mut writers = write(&target, args.rate, &written);
    let mut outages = Vec::new();
    for round in 0..args.kills {
        sleep(QUIET).await;
        let leader = cluster.leader(synod::LEAD_WITHIN).await?;
        eprintln!("failover: synod, {} of {}", round + 1, args.kills);
        let fault = Instant::now();
        cluster.nodes[leader].kill().await;
        outages.push(until_written(&written, fault).await?);
        cluster.nodes[leader].start(None)?;
        cluster.nodes[leader].answers(synod::LEAD_WITHIN).await?;
        cluster.wait_for_all(synod::LEAD_WITHIN).await?;
    }
    writers.shutdown().await;
    synod::stop(cluster).await;
    Ok(outages)
}

async fn etcd_outages(args: &Args, binary: &Path, home: &Path) -> Result<Vec<Duration>, String> {
    let mut etcd = Etcd::start(binary, home, 3).await?;
    let body = |number: u32, count: u64| json!({ "key": format!("{number:04}{count:012}"), "value": "eHh4" });
    let target = Target { members: etcd.addresses(), token: "".into(), path: "/v3/kv/put", body };
    let written = Arc::default();
    let mut writers = write(&target, args.rate, &written);
    let mut outages = Vec::new();
    for round in 0..args.kills {
        sleep(QUIET).await;
        let leader = etcd.leader().await?;
        eprintln!("failover: etcd, {} of {}", round + 1, args.kills);
        let fault = Instant::now();
        etcd.kill(leader).await;
        outages.push(until_written(&written, fault).await?);
        etcd.launch(leader)?;
        sleep(QUIET).await;
    }
    writers.shutdown().await;
    etcd.stop().await;
    Ok(outages)
}

/// Waits for the first write after a fault.
pub(crate) async fn until_written(written: &Arc<Mutex<Written>>, fault: Instant) -> Result<Duration, String> {
    let until = Instant::now() + synod::LEAD_WITHIN;
    loop {
        sleep(Duration::from_millis(10)).await;
        let found = written.lock().expect("nobody panics here").outage(fault);
        if let Some(outage) = found {
            // One that was asked a little later may have been answered earlier.
            sleep(Duration::from_millis(50)).await;
            return Ok(written.lock().expect("nobody panics here").outage(fault).unwrap_or(outage));
        }
        if Instant::now() > until {
            return Err("no write was acknowledged any more".to_owned());
        }
    }
}
