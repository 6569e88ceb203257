//! A whole node, measured beside references in the same run.
//!
//! `cargo bench --bench node` runs all parts; `cargo bench --bench node -- life start idle` chooses. The
//! disk measured is that of `SYNOD_BENCH_DIR`, or of the target folder. Each table is printed as Markdown.

#[path = "node/idle.rs"]
mod idle;
#[path = "node/life.rs"]
mod life;
#[path = "node/reference.rs"]
mod reference;
#[path = "node/start.rs"]
mod start;

use std::path::PathBuf;

/// A folder on the disk under test, removed when dropped.
fn folder() -> tempfile::TempDir {
    let base = std::env::var_os("SYNOD_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::Builder::new().prefix("bench-").tempdir_in(base).expect("a folder on the disk under test")
}

fn main() {
    // `cargo bench` adds `--bench`; `cargo test` asks for nothing of this.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    if wanted("life") {
        runtime.block_on(life::run());
    }
    if wanted("start") {
        runtime.block_on(start::run());
    }
    if wanted("idle") {
        runtime.block_on(idle::run());
    }
}
