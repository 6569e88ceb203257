//! How soon a death is known among many nodes, and what gossip costs each, beside what the SWIM paper promises.
//!
//! `cargo bench -p synod-cluster --bench gossip` prints the table of docs/BENCHMARKS.md; `-- 30 100` chooses sizes. The
//! real task of each node runs over a network in memory whose time is moved by the runtime, so that the figures follow
//! from the seed and are the same on every machine, in every build.
//!
//! Das, Gupta, Motivala: "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol" (DSN 2002).
//! Section 3: the first node notices a failure e/(e-1) periods after it on average, whatever the size; section 4.1: all
//! others have heard it after a number of rounds that grows with the logarithm of the size; the messages of a node do
//! not grow with the size.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on has failed")]
#![allow(dead_code, reason = "the tests use more of what is shared with them")]

#[path = "../tests/gossip/air.rs"]
mod air;
#[path = "../tests/gossip/measure.rs"]
mod measure;
#[path = "../tests/gossip/support.rs"]
mod support;

use std::time::Duration;

use measure::Crowd;

/// The sizes, unless others are asked for.
const SIZES: [u64; 4] = [10, 30, 100, 300];

/// How many nodes die, one after the other, in each size.
const DEATHS: u64 = 30;

/// How often a member is probed: the period of `Profile::Lan`.
const PERIOD: Duration = Duration::from_millis(500);

/// How long a cluster is left alone after it was made, so that nothing of the making is measured.
const REST: Duration = Duration::from_secs(20);

/// How long datagrams are counted.
const COUNTED: Duration = Duration::from_secs(30);

fn main() {
    // `cargo bench` adds `--bench`; `cargo test` asks for nothing of this.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--test") {
        return;
    }
    let mut sizes: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    let expected = PERIOD.as_secs_f64() * std::f64::consts::E / (std::f64::consts::E - 1.0);
    println!("SWIM's expected first detection: e/(e-1) periods of {PERIOD:?}, {expected:.2} s\n");
    println!(
        "| nodes | first suspects, mean | p50 | p99 | first knows, p50 | p99 | all know, p50 | p99 | last after first, p50 \
         | datagrams each, a second | bytes each, a second | wrongly dead |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for size in sizes {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a tokio runtime");
        println!("{}", runtime.block_on(row(size)));
    }
}

async fn row(size: u64) -> String {
    let mut crowd = Crowd::gather(size, size).await;
    let load = crowd.load(REST, COUNTED).await;
    let (mut suspects, mut first, mut all, mut spread) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for death in 0..DEATHS {
        // Not the first, whom all others were told of as their seed.
        let number = death * 7 % (size - 1) + 2;
        let known = crowd.death_of(number).await;
        crowd.revive(number).await;
        suspects.push(known.suspected[0]);
        first.push(known.dead[0]);
        all.push(known.dead[known.dead.len() - 1]);
        spread.push(known.dead[known.dead.len() - 1] - known.dead[0]);
    }
    let mean = suspects.iter().sum::<Duration>().as_secs_f64() / suspects.len() as f64;
    let mut cells = vec![size.to_string(), format!("{mean:.2} s")];
    for (values, p99) in [(&mut suspects, true), (&mut first, true), (&mut all, true), (&mut spread, false)] {
        values.sort_unstable();
        cells.push(format!("{:.2} s", values[values.len() / 2].as_secs_f64()));
        if p99 {
            cells.push(format!("{:.2} s", values[(values.len() * 99).div_ceil(100) - 1].as_secs_f64()));
        }
    }
    cells.extend([
        format!("{:.1}", load.datagrams),
        format!("{:.0}", load.bytes),
        crowd.mistakes().to_string(),
    ]);
    format!("| {} |", cells.join(" | "))
}
