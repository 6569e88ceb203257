//! `synod-simulate`: worlds from seeds, each in a process of its own.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say so"))]

mod command;
#[cfg(target_os = "linux")]
mod os_random;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
