//! Logs: events with fields, to standard error, so that standard output stays clean for results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// What the engines below say at every start and repair is for their authors: only their errors are shown,
/// and openraft's not even those, because what matters of it comes back as an error of ours. A filter that
/// names one of them has the last word.
const ENGINES: &str = "openraft=off,raft_engine=error,sled=error";

/// Starts logging for this process. The first call counts; later ones do nothing.
///
/// # Errors
/// When the level is not a level nor a filter such as `synod=debug,warn`.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{ENGINES},{}", settings.level))
        .map_err(|error| format!("log.level {:?} is not a level: {error}", settings.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A reader of standard error that went away is no failure of the node.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // An error means that somebody has started it before; theirs stays.
    let _ = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
