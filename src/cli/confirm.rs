//! Asking before something is done that cannot be undone.

use std::io::{BufRead, IsTerminal};

use clap::Args;

use super::print;
use super::remote::Failure;

/// Flags of commands that change many things at once.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct ConfirmArgs {
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ConfirmArgs {
    /// Asks, unless the flags say yes.
    ///
    /// # Errors
    /// When somebody says no, or nobody is there to ask.
    pub(super) fn ask(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let why = format!("{question}? Nobody is there to ask: say --yes, or look first with --dry-run");
            return Err(Failure::Usage(why));
        }
        print::note(&format!("{question}? [y/N] "));
        let mut said = String::new();
        let read = std::io::stdin().lock().read_line(&mut said);
        let yes = read.is_ok() && matches!(said.trim().to_lowercase().as_str(), "y" | "yes");
        if yes { Ok(()) } else { Err(Failure::Declined) }
    }
}
