//! synod beside Redis and PostgreSQL, as durable priority queues, in the same run.
//!
//! ```text
//! cargo build --release && cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! Every peer does the same work, durable before it is acknowledged: submit, claim by priority under a lease
//! with an attempt number, complete under that attempt. The servers are started here on folders of their own
//! on one disk, one after the other in each round, and stopped. Nothing is installed: a server that is not
//! there is named and left out.

mod http;
mod measure;
mod peer;
mod postgres;
mod raw_sync;
mod redis_server;
mod report;
mod server;
mod synod;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::peer::Peer;
use crate::report::Report;

/// Measures synod beside Redis and PostgreSQL.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The synod binary.
    #[arg(long, default_value = "target/release/synod")]
    synod: PathBuf,
    /// Redis' server; looked for in the PATH if left out.
    #[arg(long)]
    redis: Option<PathBuf>,
    /// The folder of PostgreSQL's programs; the usual places are looked at if left out.
    #[arg(long)]
    postgres: Option<PathBuf>,
    /// How many clients at a time, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    in_flight: Vec<usize>,
    /// How long one measurement lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tasks in one request, for the second table.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// A folder on the disk to measure.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
}

impl Args {
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let dir = tempfile::Builder::new().prefix("peers-").tempdir_in(&args.dir).expect("a folder on the disk");
    println!("raw append and fdatasync: {}\n", raw_sync::measure(dir.path()));
    let mut report = Report::default();
    for round in 0..args.rounds {
        for kind in peer::KINDS {
            for in_flight in &args.in_flight {
                let home = dir.path().join(format!("{kind:?}-{round}-{in_flight}"));
                match Peer::start(kind, &args, &home).await {
                    Ok(peer) => {
                        eprintln!("round {}: {}, {in_flight} in flight", round + 1, kind.name());
                        measure::all(&peer, *in_flight, &args, &mut report).await;
                        peer.stop().await;
                    }
                    Err(why) => report.left_out(kind, why),
                }
            }
        }
    }
    report.print(&args);
}
