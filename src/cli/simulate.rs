//! `synod simulate`
//!
//! Starts the separate program `synod-simulate` and passes everything on. What overrides clock and chance there is never
//! linked into a node.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::{exit, print};

/// The program that simulates.
const PROGRAM: &str = "synod-simulate";

#[derive(Debug, Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct SimulateArgs {
    /// What `synod-simulate` takes; `synod simulate --help` shows it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

pub(super) fn main(args: &SimulateArgs) -> u8 {
    let Some(program) = find() else {
        print::note(&format!(
            "error: {PROGRAM} is neither beside this program nor on the PATH; it is a program of its own, because what \
             overrides clock and chance is never part of a node; build it from the source of this version: \
             cargo install --locked --path simulations"
        ));
        return exit::UNAVAILABLE;
    };
    let mut command = Command::new(&program);
    command.args(&args.arguments);
    match started(command) {
        Ok(code) => code,
        Err(error) => {
            print::note(&format!("error: {} cannot be started: {error}", program.display()));
            exit::UNAVAILABLE
        }
    }
}

/// Looks beside this program, then on the PATH.
fn find() -> Option<PathBuf> {
    let name = format!("{PROGRAM}{EXE_SUFFIX}");
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let on_path: Vec<PathBuf> = on_path.map(|folder| folder.join(&name)).collect();
    beside.into_iter().chain(on_path).find(|file| file.is_file())
}

/// Becomes the program: signals and the terminal are its own.
#[cfg(unix)]
fn started(mut command: Command) -> std::io::Result<u8> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

/// Lets the program run and returns its exit code.
#[cfg(not(unix))]
fn started(mut command: Command) -> std::io::Result<u8> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit::NODE_FAILED))
}
