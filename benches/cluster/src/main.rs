//! Three replicas beside one node, and beside a three-member etcd, in the same run.
//!
//! ```text
//! cargo build --release && just cluster-bench
//! ```
//!
//! All servers are started here on folders of their own on one disk and stopped again. Three of them share one
//! disk and one set of cores, so the ratios are the claims and not the figures. Nothing is installed: without an
//! etcd in the PATH its columns are left out, and it says so.

mod agents;
mod connection;
mod etcd;
mod failover;
mod grpc;
mod handover;
mod raw_sync;
mod synod;
mod throughput;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Measures three replicas beside one node and beside etcd.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// What to measure; everything if left out: throughput, failover, handover, agents.
    what: Vec<String>,
    /// The synod binary.
    #[arg(long, default_value = "target/release/synod")]
    synod: PathBuf,
    /// etcd's server; looked for in the PATH if left out.
    #[arg(long)]
    etcd: Option<PathBuf>,
    /// How many clients at a time, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    clients: Vec<usize>,
    /// How long one measurement lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many rounds of throughput; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many nodes are killed, of each system and in each part.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Writes in a second while leaders are killed.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// A folder on the disk to measure.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
}

impl Args {
    fn wants(&self, what: &str) -> bool {
        self.what.is_empty() || self.what.iter().any(|wanted| wanted == what)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Returns etcd's server, if there is one.
    fn etcd(&self) -> Result<PathBuf, String> {
        if let Some(path) = &self.etcd {
            return Ok(path.clone());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file());
        found.ok_or_else(|| "etcd is not in the PATH (package etcd-server)".to_owned())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut dir =
        tempfile::Builder::new().prefix("cluster-").tempdir_in(&args.dir).expect("a folder on the disk");
    println!("raw append and fdatasync: {}\n", raw_sync::measure(dir.path()));
    if let Err(why) = args.etcd() {
        println!("LEFT OUT: {why}; nothing is compared with it\n");
    }
    let mut whole = true;
    if args.wants("throughput") {
        whole &= throughput::measure(&args, dir.path()).await;
    }
    if args.wants("failover") {
        whole &= failover::measure(&args, dir.path()).await;
    }
    if args.wants("handover") {
        whole &= handover::measure(&args, dir.path()).await;
    }
    if args.wants("agents") {
        whole &= agents::measure(&args, dir.path()).await;
    }
    if whole {
        return ExitCode::SUCCESS;
    }
    // Why a figure is missing stands in the logs of the nodes.
    dir.disable_cleanup(true);
    println!("figures are missing; the data folders and logs are in {}", dir.path().display());
    ExitCode::FAILURE
}

/// Returns the middle of some figures.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the figure that so many of a hundred do not exceed, of sorted ones.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

/// Makes a folder of its own for one measurement.
pub(crate) fn folder(dir: &Path, name: &str) -> PathBuf {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
