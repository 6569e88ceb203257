//! One call of a tool of the system, and why it failed.

use std::process::{Command, Stdio};

/// Runs a tool to its end.
///
/// # Errors
/// When there is no such tool or it fails; the text holds what it said.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<(), String> {
    told(program, args).map(drop)
}

/// Runs a tool to its end and returns what it printed.
///
/// # Errors
/// As [`run`].
pub(crate) fn told(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
