//! Replicated writes and full cycles in a second: three nodes, one node, three members of etcd.
//!
//! A write is a submit here and a put of the same payload under a new key there; both are on the disks of a
//! majority before they are answered. All clients talk to the leader, the best case of both.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::etcd::Etcd;
use crate::grpc::Kv;
use crate::synod::{self, Client};
use crate::{Args, folder, median};

/// The payload of a write: a small task.
const PAYLOAD_BYTES: usize = 256;

/// Figures by what was measured and the number of clients.
type Figures = BTreeMap<(&'static str, usize), Vec<f64>>;

const CYCLES_ALONE: &str = "cycles, one node";
const CYCLES_THREE: &str = "cycles, three nodes";
const WRITES_ALONE: &str = "writes, one node";
const WRITES_THREE: &str = "writes, three nodes";
const WRITES_ETCD: &str = "writes, etcd (gRPC)";
const WRITES_ETCD_JSON: &str = "writes, etcd (JSON)";

pub(crate) async fn measure(args: &Args, dir: &Path) -> bool {
    let mut whole = true;
    let mut figures = Figures::new();
    for round in 0..args.rounds {
        for clients in &args.clients {
            eprintln!("throughput: round {}, {clients} clients", round + 1);
            let home = folder(dir, &format!("throughput-{round}-{clients}"));
            if let Err(why) = one_round(args, &home, *clients, &mut figures).await {
                println!("throughput, {clients} clients: {why}");
                whole = false;
            }
        }
    }
    print(args, &mut figures);
    whole
}

async fn one_round(args: &Args, home: &Path, clients: usize, figures: &mut Figures) -> Result<(), String> {
    let mut note = |what, figure| figures.entry((what, clients)).or_default().push(figure);
    let alone = synod::alone(&args.synod, &folder(home, "one")).await?;
    note(CYCLES_ALONE, ours(args, &alone, clients, true).await?);
    note(WRITES_ALONE, ours(args, &alone, clients, false).await?);
    synod::stop(alone).await;
    let three = synod::three(&args.synod, &folder(home, "three")).await?;
    note(CYCLES_THREE, ours(args, &three, clients, true).await?);
    note(WRITES_THREE, ours(args, &three, clients, false).await?);
    synod::stop(three).await;
    if let Ok(binary) = args.etcd() {
        let etcd = Etcd::start(&binary, &folder(home, "etcd"), 3).await?;
        let leader = etcd.addresses()[etcd.leader().await?];
        note(WRITES_ETCD, theirs(args, leader, clients).await?);
        note(WRITES_ETCD_JSON, theirs_json(args, leader, clients).await?);
        etcd.stop().await;
    }
    Ok(())
}

async fn ours(
    args: &Args,
    cluster: &synod_chaos::cluster::Cluster,
    clients: usize,
    whole: bool,
) -> Result<f64, String> {
    let mut ready = Vec::new();
    for number in 0..clients {
        ready.push(Client::open(cluster, number).await?);
    }
    let payload = "x".repeat(PAYLOAD_BYTES);
    let until = Instant::now() + args.length();
    let mut tasks = JoinSet::new();
    for mut client in ready {
        let payload = payload.clone();
        tasks.spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < until {
                if whole {
                    client.cycle(&payload).await?
                } else {
                    client.submit(&payload).await?
                };
                done += 1;
            }
            Ok::<_, String>(done)
        });
    }
    rate(args, tasks).await
}

async fn theirs(args: &Args, leader: std::net::SocketAddr, clients: usize) -> Result<f64, String> {
    let mut ready = Vec::new();
    for _ in 0..clients {
        ready.push(Kv::open(leader).await?);
    }
    let until = Instant::now() + args.length();
    let mut tasks = JoinSet::new();
    for (number, mut client) in ready.into_iter().enumerate() {
        let payload = "x".repeat(PAYLOAD_BYTES);
        tasks.spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < until {
                client.put(&format!("g/{number}/{done}"), &payload).await?;
                done += 1;
            }
            Ok::<_, String>(done)
        });
    }
    rate(args, tasks).await
}

async fn theirs_json(args: &Args, leader: std::net::SocketAddr, clients: usize) -> Result<f64, String> {
    let until = Instant::now() + args.length();
    let mut tasks = JoinSet::new();
    // The gateway takes base64; 256 bytes of it are as good a payload as any.
    let payload = "eHh4".repeat(PAYLOAD_BYTES / 3);
    for number in 0..clients {
        let mut connection = Connection::open(leader, "").await.map_err(|error| error.to_string())?;
        let payload = payload.clone();
        tasks.spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < until {
                let body = format!(r#"{{"key":"{number:04}{done:012}","value":"{payload}"}}"#);
                let (status, body) =
                    connection.post("/v3/kv/put", &body).await.map_err(|error| error.to_string())?;
                if status != 200 {
                    return Err(format!("etcd: {status} {}", String::from_utf8_lossy(body)));
                }
                done += 1;
            }
            Ok(done)
        });
    }
    rate(args, tasks).await
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn rate(args: &Args, mut tasks: JoinSet<Result<u64, String>>) -> Result<f64, String> {
    let mut done = 0;
    while let Some(one) = tasks.join_next().await {
        done += one.map_err(|error| error.to_string())??;
    }
    Ok(done as f64 / args.length().as_secs_f64())
}

fn print(args: &Args, figures: &mut Figures) {
    let mut of = |what, clients| figures.get_mut(&(what, clients)).map_or(f64::NAN, |all| median(all));
    println!(
        "| clients | cycles/s: one node | three nodes | ratio (goal 0.5) | writes/s: one node | three nodes |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    for clients in &args.clients {
        let (alone, three) = (of(CYCLES_ALONE, *clients), of(CYCLES_THREE, *clients));
        let (write, writes) = (of(WRITES_ALONE, *clients), of(WRITES_THREE, *clients));
        println!("| {clients} | {alone:.0} | {three:.0} | {:.2} | {write:.0} | {writes:.0} |", three / alone);
    }
    println!("\n| clients | replicated writes/s: synod | etcd, gRPC | etcd, JSON | synod/better etcd |");
    println!("|---:|---:|---:|---:|---:|");
    for clients in &args.clients {
        let three = of(WRITES_THREE, *clients);
        let (grpc, json) = (of(WRITES_ETCD, *clients), of(WRITES_ETCD_JSON, *clients));
        println!("| {clients} | {three:.0} | {grpc:.0} | {json:.0} | {:.2} |", three / grpc.max(json));
    }
    println!();
}
