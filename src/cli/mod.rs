//! The command line: what a person types, and what comes back.
//!
//! Results go to standard output and nothing else does; progress, logs and errors go to standard
//! error. Exit codes are in [`exit`].

mod config;
mod doctor;
pub mod exit;
mod print;
mod run;
mod schema;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::{ENV_CONFIG, Flags, Loaded, LogFlags};

/// A distributed actor runtime for fleets of agents.
#[derive(Debug, Parser)]
#[command(name = "synod", version, about, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Common {
    /// Settings file (.toml, .yaml or .json); defaults to $SYNOD_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `synod=debug`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a fleet file to its end; the same command continues an interrupted run.
    Run(run::RunArgs),
    /// Look at the machine: disk, data folder, limits.
    Doctor(doctor::DoctorArgs),
    /// Show the settings in force.
    Config(config::ConfigArgs),
    /// Print the JSON Schema of a file format.
    Schema(schema::SchemaArgs),
    /// Print the version.
    Version,
}

impl Common {
    fn load(&self, data: Option<PathBuf>) -> Result<Loaded, crate::settings::Error> {
        let file = self.config.clone().or_else(|| std::env::var_os(ENV_CONFIG).map(PathBuf::from));
        let log = self.log.clone().map(|level| LogFlags { level });
        Loaded::read(file.as_deref(), &Flags { data, log })
    }
}

/// Runs what the arguments say and returns the exit code.
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return code.into();
        }
    };
    let code = match cli.command {
        Command::Run(args) => run::main(&cli.common, args),
        Command::Doctor(args) => doctor::main(&cli.common, &args),
        Command::Config(args) => config::main(&cli.common, &args),
        Command::Schema(args) => schema::main(&args),
        Command::Version => print::result(&concat!("synod ", env!("CARGO_PKG_VERSION")), exit::OK),
    };
    code.into()
}
