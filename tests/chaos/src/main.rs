//! `synod-chaos`: runs scenarios, or judges a history that was kept.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use synod_chaos::history;
use synod_chaos::report::{Goals, judge_and_print};
use synod_chaos::scenarios::{ALL, Ended, Order, Scenario};

/// Does terrible things to real nodes, and judges what they told.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: those that are named, or all.
    Run(RunArgs),
    /// List the scenarios.
    List,
    /// Judge a history that was kept.
    Judge {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Parser)]
struct RunArgs {
    /// Which; all of the form if left out.
    scenarios: Vec<String>,
    /// The short form, for every change: minutes.
    #[arg(long)]
    short: bool,
    /// The synod binary.
    #[arg(long, default_value = "target/release/synod")]
    synod: PathBuf,
    /// The folder for data, on a disk.
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
    /// From which chance comes; drawn if left out, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Tasks submitted in a second; each takes about three writes.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How often the fault of each scenario happens, in place of the form's number.
    #[arg(long)]
    times: Option<usize>,
    /// Keep the data folders.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::List => {
            for scenario in ALL {
                let Scenario { name, does, short, long, .. } = scenario;
                println!("{name:<14} {does} (short {short}, long {long})");
            }
            ExitCode::SUCCESS
        }
        Command::Judge { file } => match history::read(&file) {
            Ok(records) => {
                let name =
                    file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                let keep = std::env::temp_dir();
                code(judge_and_print(&name, &records, Goals::LOOSE, &keep))
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                ExitCode::from(2)
            }
        },
        Command::Run(args) => run(&args),
    }
}

#[tokio::main]
async fn run(args: &RunArgs) -> ExitCode {
    if let Some(unknown) = args.scenarios.iter().find(|name| !ALL.iter().any(|known| known.name == **name)) {
        eprintln!("there is no scenario {unknown}; `synod-chaos list` names them");
        return ExitCode::from(2);
    }
    let seed = args.seed.unwrap_or_else(|| u64::from(StdRng::from_os_rng().next_u32()));
    println!("seed {seed}");
    let mut lines = Vec::new();
    let mut all = true;
    for scenario in ALL {
        let times = args.times.unwrap_or(if args.short { scenario.short } else { scenario.long });
        let named = args.scenarios.iter().any(|name| name == scenario.name);
        if !named && !args.scenarios.is_empty() || args.scenarios.is_empty() && times == 0 {
            continue;
        }
        let order = Order {
            binary: args.synod.clone(),
            folder: args.folder.clone(),
            seed,
            rate: args.rate,
            times: times.max(1),
            keep: args.keep,
        };
        let began = std::time::Instant::now();
        let said = (scenario.run)(&order).await;
        let word = match said {
            Ok(Ended::Holds) => "holds".to_owned(),
            Ok(Ended::Broken) => {
                all = false;
                "BROKEN".to_owned()
            }
            Ok(Ended::Skipped(why)) => {
                println!("SKIPPED: {}: {why}; this was NOT shown", scenario.name);
                "SKIPPED".to_owned()
            }
            Err(why) => {
                all = false;
                println!("FAILED: {}: {why}", scenario.name);
                "FAILED".to_owned()
            }
        };
        lines.push(format!("{:<14} {word:<8} {:>5} s", scenario.name, began.elapsed().as_secs()));
    }
    println!("\n{}", lines.join("\n"));
    if lines.is_empty() {
        eprintln!("no scenario ran, so nothing was shown");
        return ExitCode::from(2);
    }
    code(all)
}

fn code(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
