//! What several batches on their way to a member bring, beside one, at distances between the nodes.
//!
//! `cargo bench -p synod-cluster --bench pipeline` prints the table of docs/BENCHMARKS.md; `-- 0 10` chooses distances, in
//! milliseconds one way. Three real nodes of one group over wires in memory whose ways are as long as that, and on disks in
//! memory that end their syncs [`SYNC`] by `SYNC`. Their time is moved by the runtime, and computing takes none of it: the
//! figures show what waiting for line and disk costs, and nothing of the machine.
//!
//! *At once*: 64 callers on the leader, each of whom asks again as soon as it is answered. *Coming and going*: each pauses
//! after an answer, 10 ms on average. *Catching up*: a follower has missed [`MISSED`] entries, and its way is as long as said; until
//! it has applied them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on has failed")]
#![allow(dead_code, reason = "the tests use more of what is shared with them")]

#[path = "../tests/cluster/support.rs"]
mod support;
#[path = "../tests/cluster/table.rs"]
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{request, weight};
use synod_cluster::consensus::Timing;
use synod_cluster::transport::memory::MemoryNetwork;
use synod_domain::chance::Chance;
use synod_storage::MemoryDisk;
use table::{PATIENCE, Table, Wires, name};
use tokio::time::Instant;

/// The distances, in milliseconds one way, unless others are asked for.
const DISTANCES: [u64; 3] = [0, 2, 10];
/// The windows that are compared: one batch, and as many as a node has by itself.
const ONE: usize = 1;
/// Callers of the leader.
const CALLERS: u64 = 64;
/// How long a row is warmed up, and counted.
const WARM_UP: Duration = Duration::from_millis(300);
const COUNTED: Duration = Duration::from_secs(1);
/// How long a sync takes at most.
const SYNC: Duration = Duration::from_millis(1);
/// Entries that a follower has missed.
const MISSED: u64 = 3000;
/// The longest pause of a caller who comes and goes.
const PAUSE_MAX_MILLIS: u64 = 20;

fn main() {
    // `cargo bench` adds `--bench`; `cargo test` asks for nothing of this.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--test") {
        return;
    }
    let mut distances: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if distances.is_empty() {
        distances.extend(DISTANCES);
    }
    let most = Timing::default().batches_on_the_way;
    println!(
        "| one way | at once /s, 1 | {most} | ratio | an entry, 1 | {most} | coming and going /s, 1 | {most} | ratio \
         | p50 ms, 1 | {most} | catching up s, 1 | {most} | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for millis in distances {
        let (one, many) = (turn(ONE, millis), turn(most, millis));
        let pair = |one: f64, many: f64, digits: usize| format!("{one:.digits$} | {many:.digits$}");
        println!(
            "| {millis} ms | {} | {:.2} | {} | {} | {:.2} | {} | {} | {:.2} |",
            pair(one.at_once.rate, many.at_once.rate, 0),
            many.at_once.rate / one.at_once.rate,
            pair(one.at_once.an_entry, many.at_once.an_entry, 1),
            pair(one.going.rate, many.going.rate, 0),
            many.going.rate / one.going.rate,
            pair(one.going.wait * 1e3, many.going.wait * 1e3, 1),
            pair(one.late, many.late, 3),
            one.late / many.late,
        );
    }
}

/// What one group did with one window.
struct Turn {
    at_once: Writes,
    going: Writes,
    /// Seconds until a follower had what it missed.
    late: f64,
}

/// What callers got.
struct Writes {
    /// Writes a second.
    rate: f64,
    /// Writes that shared an entry.
    an_entry: f64,
    /// How long half of them waited at most, in seconds.
    wait: f64,
}

fn turn(window: usize, millis: u64) -> Turn {
    let distance = Duration::from_millis(millis);
    Turn {
        at_once: in_its_time(writes(window, distance, 0)),
        going: in_its_time(writes(window, distance, PAUSE_MAX_MILLIS)),
        late: in_its_time(catches_up(window, distance)),
    }
}

/// Runs in a time that stands while anything can be done.
fn in_its_time<T>(run: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run)
}

/// Ends what a disk syncs, again and again.
async fn turns(disk: MemoryDisk) {
    loop {
        disk.hold_syncs();
        tokio::time::sleep(SYNC).await;
        disk.release();
    }
}

async fn seated(window: usize, distance: Duration) -> (Table, u64) {
    let network = MemoryNetwork::default();
    for (from, to) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
        network.stretch(&name(from), &name(to), distance);
    }
    let mut table = Table::new(Wires::Memory(network));
    table.timing = Timing { batches_on_the_way: window, ..Timing::default() };
    for number in 1..=3 {
        tokio::spawn(turns(table.disk(number)));
    }
    table.found(3).await;
    let leader = table.leader().await;
    (table, leader)
}

/// Lets callers write who pause for at most so long after each answer.
async fn writes(window: usize, distance: Duration, pause_max: u64) -> Writes {
    let (table, leader) = seated(window, distance).await;
    let counts = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (proposer, counts, stop) = (table.at(leader).proposer(), Arc::clone(&counts), Arc::clone(&stop));
        callers.push(tokio::spawn(async move {
            let (mut waits, mut chance, mut number) = (Vec::new(), Chance::new(caller), caller << 32);
            while !stop.load(Ordering::Relaxed) {
                if pause_max > 0 {
                    tokio::time::sleep(Duration::from_millis(chance.draw() % (pause_max + 1))).await;
                }
                number += 1;
                let begun = Instant::now();
                let answer = proposer.propose(request(number), weight(2)).await;
                assert!(matches!(&answer, Ok(settled) if settled.answer.is_ok()), "{answer:?}");
                if counts.load(Ordering::Relaxed) {
                    waits.push(begun.elapsed());
                }
            }
            waits
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let last = || table.at(leader).applied();
    let before = last();
    counts.store(true, Ordering::Relaxed);
    tokio::time::sleep(COUNTED).await;
    stop.store(true, Ordering::Relaxed);
    let entries = last() - before;
    let mut waits = Vec::new();
    for caller in callers {
        waits.extend(caller.await.unwrap());
    }
    waits.sort_unstable();
    let writes = waits.len() as f64;
    Writes {
        rate: writes / COUNTED.as_secs_f64(),
        an_entry: writes / entries as f64,
        wait: waits[waits.len() / 2].as_secs_f64(),
    }
}

/// Returns how many seconds a follower took to apply what it had missed.
async fn catches_up(window: usize, distance: Duration) -> f64 {
    let (table, leader) = seated(window, Duration::ZERO).await;
    let late = table.others(leader)[0];
    table.isolate(late);
    for number in 0..MISSED {
        let answer = table.at(leader).proposer().propose(request(number), weight(2)).await;
        assert!(matches!(&answer, Ok(settled) if settled.answer.is_ok()), "{answer:?}");
    }
    let last = table.at(leader).applied();
    for other in table.others(late) {
        table.memory().stretch(&name(late), &name(other), distance);
        table.memory().stretch(&name(other), &name(late), distance);
    }
    let begun = Instant::now();
    table.reunite(late);
    assert!(table.at(late).wait_applied(last, PATIENCE).await, "it does not catch up");
    begun.elapsed().as_secs_f64()
}
