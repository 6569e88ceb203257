//! The whole life of a task: submit, claim, complete, each durable before it is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use synod::clock::Stopwatch;
use synod::node::{NewTask, Node, Pool};
use synod_domain::agent::{AgentSpec, Host};
use synod_domain::capability::Capabilities;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::task::Usage;

use crate::reference::GroupCommitLog;

const IN_FLIGHT: [usize; 3] = [1, 8, 64];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(2);
const PAYLOAD: usize = 256;

pub(crate) async fn run() {
    println!("\n## Whole life of a task (submit, claim, complete; {PAYLOAD}-byte payload)\n");
    println!("| in flight | raw group-commit log, cycles/s | node, cycles/s | ratio |");
    println!("|---:|---:|---:|---:|");
    for in_flight in IN_FLIGHT {
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw.push(raw_round(in_flight).await);
            ours.push(node_round(in_flight).await);
        }
        let (raw, ours) = (median(raw), median(ours));
        println!("| {in_flight} | {raw:.0} | {ours:.0} | {:.2} |", ours / raw);
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

async fn raw_round(in_flight: usize) -> f64 {
    let folder = crate::folder();
    let log = Arc::new(GroupCommitLog::create(&folder.path().join("log")));
    rate(in_flight, move |_| {
        let log = log.clone();
        async move {
            log.append(&[7; PAYLOAD + 100]).await;
            log.append(&[7; 100]).await;
            log.append(&[7; 100]).await;
        }
    })
    .await
}

async fn node_round(in_flight: usize) -> f64 {
    let folder = crate::folder();
    let node = Node::builder().data(folder.path().join("data")).start().await.expect("a node");
    let node = Arc::new(node);
    node.put_pool(Pool::external("bench").expect("a pool")).await.expect("the pool");
    for worker in 0..in_flight {
        node.register_agent(agent(worker)).await.expect("the agent");
    }
    let shared = node.clone();
    let cycles = rate(in_flight, move |worker| {
        let node = shared.clone();
        async move {
            let payload = "x".repeat(PAYLOAD - 2);
            let task = NewTask::to_pool("bench", "bench", &payload).expect("a task");
            node.submit(task).await.expect("the submit");
            let agent = agent(worker).id;
            for one in node.claim(agent, 1).await.expect("the claim") {
                node.complete(one.spec.id, one.attempt, b"null", Usage::default())
                    .await
                    .expect("the completion");
            }
        }
    })
    .await;
    if let Ok(node) = Arc::try_unwrap(node) {
        node.stop().await;
    }
    cycles
}

fn agent(worker: usize) -> AgentSpec {
    AgentSpec {
        id: AgentId::from_raw(worker as u128 + 1),
        name: Name::new(&format!("worker-{worker}")).expect("a name"),
        pool: Some(Name::new("bench").expect("a name")),
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 4,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    }
}

/// Runs `in_flight` loops of `cycle` side by side for a round; returns cycles per second.
async fn rate<F>(in_flight: usize, cycle: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> f64
where
    F: Future<Output = ()> + Send,
{
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = Stopwatch::start();
    let workers: Vec<_> = (0..in_flight)
        .map(|worker| {
            let (stop, count, cycle) = (stop.clone(), count.clone(), cycle.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    cycle(worker).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(ROUND).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("a worker");
    }
    count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}
