//! What the disk gives: one append and fdatasync after the other.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const SYNCS: usize = 500;

/// Returns the median and the 99th percentile of one durable append, as a text.
pub(crate) fn measure(dir: &Path) -> String {
    let mut file = std::fs::File::create(dir.join("raw")).expect("a file");
    let mut times: Vec<Duration> = (0..SYNCS)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 300]).expect("an append");
            file.sync_data().expect("a sync");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    format!("p50 {:?}, p99 {:?}", times[SYNCS / 2], times[SYNCS * 99 / 100])
}
