//! The yardstick: one small append and its sync, alone on the disk.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::percentile;

/// Appends that are measured.
const APPENDS: usize = 500;

/// Measures appends of 256 bytes in `dir`, each with its `fdatasync`.
pub(crate) fn measure(dir: &Path) -> String {
    let path = dir.join("raw");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut took: Vec<Duration> = (0..APPENDS)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; 256]).expect("an append");
            file.sync_data().expect("a sync");
            start.elapsed()
        })
        .collect();
    took.sort();
    std::fs::remove_file(path).expect("the file goes");
    format!("p50 {:?}, p99 {:?}", percentile(&took, 50), percentile(&took, 99))
}
