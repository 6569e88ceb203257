//! How many commands a second become durable on this disk, beside what the disk itself can do.
//!
//! For each number of callers: commands per second through the whole path (propose, log, sync, apply,
//! answer), how many commands shared an entry, the same bytes written raw with one `fdatasync` for each
//! batch of that size, and the ratio. One caller alone cannot be answered much faster than the fastest raw
//! sync of the same run: when it is, somebody answers before the sync, and the bench fails. `SYNOD_BENCH_DIR` names the folder; its disk is what is measured.

#![allow(clippy::disallowed_methods, reason = "a bench measures by the system's clock")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use synod_cluster::checkpointer::Policy;
use synod_cluster::consensus::{Consensus, Formation, Options, Timing};
use synod_cluster::machine::EventSink;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::{NodeId, RequestId};
use synod_domain::name::Name;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::time::Timestamp;

/// How long each row is measured, after as long again to warm up in part.
const MEASURE: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);

/// What one command takes in the log, for the raw comparison.
const COMMAND_BYTES: usize = 32;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(0))
    }
}

struct Counter(AtomicU64);

impl Entropy for Counter {
    fn draw(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9, Ordering::Relaxed)
    }
}

struct Deaf;

impl EventSink for Deaf {
    fn publish(&self, _index: u64, _at: Timestamp, _events: Vec<Event>) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Called by `cargo test --benches` too; then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let base = std::env::var_os("SYNOD_BENCH_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from);
    let folder = tempfile::tempdir_in(base)?;
    println!(
        "{:>9} {:>12} {:>10} {:>9} {:>9} {:>14} {:>7}",
        "in flight", "commands/s", "per entry", "p50 µs", "p99 µs", "raw records/s", "ratio"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for callers in [1, 64, 1024] {
        let path = folder.path().join(callers.to_string());
        let measured = runtime.block_on(measure(&path, callers))?;
        let (raw, fastest) = raw(&folder.path().join("raw"), measured.per_entry)?;
        println!(
            "{callers:>9} {:>12.0} {:>10.1} {:>9} {:>9} {raw:>14.0} {:>7.2}",
            measured.rate,
            measured.per_entry,
            measured.p50.as_micros(),
            measured.p99.as_micros(),
            measured.rate / raw,
        );
        // Half, because the log writes into files that are allocated ahead and the raw file grows.
        if callers == 1 && measured.p50 < fastest / 2 {
            let p50 = measured.p50;
            return Err(format!(
                "answered after {p50:?}, but no raw sync took less than {fastest:?}: not durable"
            )
            .into());
        }
    }
    Ok(())
}

struct Measured {
    rate: f64,
    per_entry: f64,
    p50: Duration,
    p99: Duration,
}

async fn measure(path: &std::path::Path, callers: u64) -> Result<Measured, Box<dyn std::error::Error>> {
    let storage = synod_storage::open(path, &synod_storage::Options::default())?.storage;
    let consensus = Consensus::start(Options {
        number: 1,
        me: NodeId::from_raw(1),
        storage,
        clock: Arc::new(WallClock),
        entropy: Arc::new(Counter(AtomicU64::new(callers))),
        events: Arc::new(Deaf),
        timing: Timing::default(),
        policy: Policy::default(),
        inline: false,
        formation: Formation::Found(BTreeMap::from([(1, NodeId::from_raw(1))])),
        links: None,
    })
    .await?;
    consensus.leadership().wait_for(Option::is_some).await?;

    let measuring = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let (proposer, measuring, stop) = (consensus.proposer(), Arc::clone(&measuring), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            let mut number = 0_u128;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let id = RequestId::from_raw((u128::from(caller) << 64) | number);
                let command = Command::SetWeight { workspace: Name::default(), weight: 2 };
                let begun = Instant::now();
                let answer = proposer.propose(id, command).await;
                assert!(matches!(&answer, Ok(settled) if settled.answer.is_ok()), "{answer:?}");
                if measuring.load(Ordering::Relaxed) {
                    waits.push(begun.elapsed());
                }
            }
            waits
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let entries_before = consensus.status().last_log.unwrap_or(0);
    let begun = Instant::now();
    measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(MEASURE).await;
    stop.store(true, Ordering::Relaxed);
    let took = begun.elapsed();
    let entries = consensus.status().last_log.unwrap_or(0) - entries_before;
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await?);
    }
    consensus.shutdown().await;
    waits.sort_unstable();
    let count = waits.len() as f64;
    let at = |part: usize| waits.get(waits.len() * part / 100).copied().unwrap_or_default();
    Ok(Measured {
        rate: count / took.as_secs_f64(),
        per_entry: count / entries.max(1) as f64,
        p50: at(50),
        p99: at(99),
    })
}

/// Appends batches of that many records with one `fdatasync` each; returns records per second and the
/// shortest time that one batch took.
fn raw(path: &std::path::Path, per_batch: f64) -> Result<(f64, Duration), std::io::Error> {
    let mut batch = Vec::new();
    let mut records = 0.0;
    while records < per_batch.round().max(1.0) {
        batch.extend_from_slice(&[7; COMMAND_BYTES]);
        records += 1.0;
    }
    let mut file: File = OpenOptions::new().create(true).append(true).open(path)?;
    let begun = Instant::now();
    let (mut written, mut fastest) = (0.0, Duration::MAX);
    while begun.elapsed() < MEASURE / 3 {
        let one = Instant::now();
        file.write_all(&batch)?;
        file.sync_data()?;
        fastest = fastest.min(one.elapsed());
        written += records;
    }
    Ok((written / begun.elapsed().as_secs_f64(), fastest))
}
