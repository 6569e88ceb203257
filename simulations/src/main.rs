//! `synod-simulate`: worlds from seeds, each in a process of its own.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say so"))]

mod command;
#[cfg(target_os = "linux")]
mod os_random;

use std::process::ExitCode;

/// The node's own allocator: a world is many small pieces with short lives, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::main()
}
