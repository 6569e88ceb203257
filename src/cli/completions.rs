//! `synod completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, exit, print};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

pub(super) fn main(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "synod", &mut script);
    print::result(&String::from_utf8_lossy(&script).trim_end(), exit::OK)
}
