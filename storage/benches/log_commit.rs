//! How close the log comes to what the disk can do.
//!
//! ```text
//! cargo bench -p synod-storage --bench log_commit
//! SYNOD_BENCH_DIR=/some/disk cargo bench -p synod-storage --bench log_commit
//! ```
//!
//! The limit is a file that grows by one write and one fdatasync for each batch. A disk changes its mind
//! from second to second, so the three are measured in turns of a fraction of a second, and the ratios are
//! medians over the turns; absolute figures of different runs do not compare. "waiting" appends a batch and
//! waits for it, as one proposer does; "queued" keeps the next batch waiting behind the one that syncs.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say so")]
#![allow(clippy::disallowed_methods, reason = "it measures a real disk with the real clock")]

use std::{
    collections::VecDeque,
    fs::File,
    io::Write,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use synod_storage::{Error, Log, Options, Record};

/// Bytes of a record: a small command.
const RECORD_BYTES: usize = 256;
/// Records in a batch.
const BATCHES: [usize; 4] = [1, 10, 100, 1000];
/// Turns for each size; a median of this many is steady enough to compare two builds.
const TURNS: usize = 15;
/// Length of one turn. All turns take TURNS × 3 × 4 × this, under a minute.
const TURN: Duration = Duration::from_millis(250);

fn main() {
    let parent = std::env::var_os("SYNOD_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&parent).unwrap();
    let folder = tempfile::tempdir_in(&parent).unwrap();
    println!("records of {RECORD_BYTES} bytes, {TURNS} turns of {TURN:?} each, in {}", parent.display());
    println!();
    println!("| records a sync | raw /s | waiting /s | queued /s | waiting/raw | queued/raw |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for count in BATCHES {
        let path = folder.path().join(count.to_string());
        let storage = synod_storage::open(&path, &Options::default()).unwrap().storage;
        let mut raw = Raw::create(&path.join("raw"));
        let mut ours = Ours { log: &*storage.log, next: 1 };
        let (mut raws, mut waitings, mut queueds) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            raws.push(raw.turn(count));
            waitings.push(ours.turn(count, 1));
            queueds.push(ours.turn(count, 2));
        }
        let ratio = |ours: &[f64]| median(ours.iter().zip(&raws).map(|(ours, raw)| ours / raw).collect());
        println!(
            "| {count} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
            median(raws.clone()),
            median(waitings.clone()),
            median(queueds.clone()),
            ratio(&waitings),
            ratio(&queueds),
        );
    }
}

/// The limit.
struct Raw(File);

impl Raw {
    fn create(path: &std::path::Path) -> Self {
        Self(File::create(path).unwrap())
    }

    /// Returns records a second.
    fn turn(&mut self, count: usize) -> f64 {
        let batch = vec![b'x'; count * RECORD_BYTES];
        rate(count, || {
            self.0.write_all(&batch).unwrap();
            self.0.sync_data().unwrap();
        })
    }
}

/// Our log.
struct Ours<'a> {
    log: &'a dyn Log,
    next: u64,
}

impl Ours<'_> {
    /// Returns records a second with `depth` batches on their way.
    fn turn(&mut self, count: usize, depth: usize) -> f64 {
        let bytes = Bytes::from(vec![b'x'; RECORD_BYTES]);
        let mut waiting: VecDeque<mpsc::Receiver<Result<(), Error>>> = VecDeque::new();
        let rate = rate(count, || {
            let records = (self.next..self.next + count as u64)
                .map(|index| Record { index, bytes: bytes.clone() })
                .collect();
            self.next += count as u64;
            let (send, receive) = mpsc::channel();
            self.log.append(records, Box::new(move |outcome| send.send(outcome).unwrap()));
            waiting.push_back(receive);
            if waiting.len() == depth {
                waiting.pop_front().unwrap().recv().unwrap().unwrap();
            }
        });
        for receive in waiting {
            receive.recv().unwrap().unwrap();
        }
        rate
    }
}

/// Runs batches for one turn.
fn rate(count: usize, mut batch: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut batches = 0;
    while started.elapsed() < TURN {
        batch();
        batches += 1;
    }
    f64::from(batches) * f64::from(u32::try_from(count).unwrap()) / started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
