//! `synod-simulate` on the command line: one world in this process, or many in processes of their own.
//!
//! A process lives one world: task and actor numbers are counted through a whole process, so a second one there would
//! not be the same. Whatever needs several worlds starts this program again for each and reads its report; it knows
//! nothing of what is in a world.

mod arguments;
mod child;
mod entry;
mod exit;
mod fleet;
mod ledger;
mod length;
mod one;
mod print;
mod reduce;
mod replay;
mod shrink;
mod signals;
mod sweep;
mod totals;
mod twice;
mod version;

use std::process::ExitCode;

use clap::Parser;

use synod_simulations::mutants;

use arguments::Arguments;

/// Does what the arguments say.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return code.into();
        }
    };
    if let Some(error) = arguments.world.mutant.as_deref().and_then(|name| mutants::put_in(name).err()) {
        print::note(&format!("error: {error}"));
        return exit::USAGE.into();
    }
    if let Some(file) = &arguments.file {
        return fleet::main(&arguments, file).into();
    }
    if let Some(file) = &arguments.replay {
        return replay::main(&arguments, file).into();
    }
    let is_many = arguments.seeds.is_some() || arguments.ledger.is_some() || arguments.twice;
    if !is_many && !arguments.shrink {
        return one::main(&arguments).into();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::note(&format!("error: {error}"));
            return exit::UNAVAILABLE.into();
        }
    };
    runtime.block_on(many(&arguments, is_many)).into()
}

async fn many(arguments: &Arguments, is_many: bool) -> u8 {
    if !is_many {
        return shrink::main(arguments, arguments.seed).await;
    }
    match sweep::main(arguments).await {
        (exit::BROKEN, Some(seed)) if arguments.shrink => shrink::main(arguments, seed).await,
        (code, _) => code,
    }
}
