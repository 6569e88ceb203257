//! `synod-simulate`: one world from one seed, in a process of its own.

#[cfg(target_os = "linux")]
mod os_random;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use synod_simulations::faults::Kinds;
use synod_simulations::report::Report;
use synod_simulations::{Settings, World, trace};

/// Runs a real node in a simulated world made from a seed, and judges what happened.
#[derive(Debug, Parser)]
#[command(name = "synod-simulate", version)]
struct Arguments {
    /// The source of everything random; the same seed gives the same trace.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long faults and new work go on, in simulated seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    duration: u64,
    /// Which faults may come: all, none, or names with commas (crash, slow-disk, failed-sync, full-disk).
    #[arg(long, default_value = "all")]
    faults: Kinds,
    /// Writes the trace to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings {
        duration: Duration::from_secs(arguments.duration),
        faults: arguments.faults.clone(),
        ..Settings::new(arguments.seed)
    };
    let history = World::new(settings).run();
    let text = trace::text(&history);
    let Arguments { seed, duration, faults, trace } = arguments;
    match trace {
        Some(file) if file.as_os_str() == "-" => print!("{text}"),
        Some(file) => {
            if let Err(error) = std::fs::write(&file, &text) {
                eprintln!("the trace cannot be written to {}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
        None => {}
    }
    let report = Report::of(&history, &text);
    eprintln!("seed {seed}, {duration} s, faults {faults}");
    eprint!("{report}");
    if report.holds() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "seed {seed} breaks it; replay: synod-simulate --seed {seed} --duration {duration} --faults {faults} --trace -"
    );
    ExitCode::FAILURE
}
