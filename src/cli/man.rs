//! `synod man`

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};

use super::{Cli, exit, print};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder to write into; made if it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn main(args: &ManArgs) -> u8 {
    match write(&args.out) {
        Ok(()) => exit::OK,
        Err(error) => {
            print::note(&format!("error: the pages cannot be written to {}: {error}", args.out.display()));
            exit::USAGE
        }
    }
}

/// Writes a page for each command.
fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
}
