//! What is measured of every peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Args;
use crate::peer::{Client, Kind, Peer};
use crate::report::{Report, Table};

/// Bytes of a payload.
const PAYLOAD: usize = 256;

/// How many tasks are handed to a worker that waits for them, one after the other.
const WAKES: usize = 300;

/// Measures one peer with `in_flight` clients.
pub(crate) async fn all(peer: &Peer, in_flight: usize, args: &Args, report: &mut Report) {
    let cycles = rate(peer, in_flight, args.length(), 1).await;
    report.add(Table::Cycles, peer.kind, in_flight, cycles);
    let (median, tail) = submit_latency(peer, in_flight, args.length()).await;
    report.add(Table::SubmitMedian, peer.kind, in_flight, median);
    report.add(Table::SubmitTail, peer.kind, in_flight, tail);
    let batched = rate(peer, in_flight, args.length(), args.batch).await;
    report.add(Table::Batched, peer.kind, in_flight, batched);
    if peer.kind == Kind::Synod && in_flight == args.in_flight[0] {
        let (median, tail) = wake_up(peer).await;
        report.add(Table::WakeMedian, peer.kind, 1, median);
        report.add(Table::WakeTail, peer.kind, 1, tail);
    }
}

/// Returns whole cycles a second, counted in tasks.
async fn rate(peer: &Peer, in_flight: usize, length: Duration, batch: usize) -> f64 {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for number in 0..in_flight {
        clients.push(peer.client(number).await);
    }
    let begun = Instant::now();
    let running: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (stop, done) = (stop.clone(), done.clone());
            tokio::spawn(async move {
                let payload = "x".repeat(PAYLOAD);
                while !stop.load(Ordering::Relaxed) {
                    client.submit(&payload, batch).await;
                    let tasks = client.claim(batch).await;
                    if !tasks.is_empty() {
                        client.complete(&tasks).await;
                    }
                    done.fetch_add(tasks.len() as u64, Ordering::Relaxed);
                }
                client
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut last = None;
    for one in running {
        last = Some(one.await.expect("a client"));
    }
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    if let Some(client) = last {
        drain(client).await;
    }
    rate
}

/// Returns the median and the 99th percentile of a submit, in milliseconds.
async fn submit_latency(peer: &Peer, in_flight: usize, length: Duration) -> (f64, f64) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for number in 0..in_flight {
        let (mut client, stop) = (peer.client(number).await, stop.clone());
        running.push(tokio::spawn(async move {
            let payload = "x".repeat(PAYLOAD);
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                client.submit(&payload, 1).await;
                times.push(begun.elapsed());
            }
            (times, client)
        }));
    }
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let (mut times, mut last) = (Vec::new(), None);
    for one in running {
        let (mut own, client) = one.await.expect("a client");
        times.append(&mut own);
        last = Some(client);
    }
    if let Some(client) = last {
        drain(client).await;
    }
    percentiles(times)
}

/// Returns the median and the 99th percentile from a submit to the claim of a worker that waits, in
/// milliseconds.
async fn wake_up(peer: &Peer) -> (f64, f64) {
    let mut submitter = peer.client(0).await;
    let Client::Synod(mut worker) = peer.client(1).await else { return (0.0, 0.0) };
    let (claimed, mut hears) = tokio::sync::mpsc::channel(1);
    let waiting = tokio::spawn(async move {
        for _ in 0..WAKES {
            let mut tasks = Vec::new();
            while tasks.is_empty() {
                tasks = worker.claim(1, 10_000).await;
            }
            claimed.send(Instant::now()).await.expect("the measurer");
            worker.complete(&tasks).await;
        }
    });
    let payload = "x".repeat(PAYLOAD);
    let mut times = Vec::new();
    for _ in 0..WAKES {
        // Long enough that the worker waits again.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let begun = Instant::now();
        submitter.submit(&payload, 1).await;
        let at = hears.recv().await.expect("the worker");
        times.push(at.saturating_duration_since(begun));
    }
    waiting.await.expect("the worker");
    percentiles(times)
}

/// Empties the queue, so that the next measurement begins like this one.
async fn drain(mut client: Client) {
    loop {
        let tasks = client.claim(100).await;
        if tasks.is_empty() {
            return;
        }
        client.complete(&tasks).await;
    }
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    (at(50), at(99))
}
