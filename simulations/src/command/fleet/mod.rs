//! A person's own fleet: one seed, or many for a distribution.
//!
//! Each world lives in a process of its own: first one in which nothing is done to the nodes, then the same with one
//! node dying half way through. This process reads the file, says what is wrong with it, and puts the answers together.

mod child;
mod many;
mod spread;
mod world;

use std::io::IsTerminal;
use std::path::Path;

use synod::fleet::{Error, Fleet, Inputs, Plan};
use synod_simulations::fleet::{Answer, Verdict};

use super::arguments::Arguments;
use super::{exit, print};

/// The kind of the envelope of one seed.
const KIND: &str = "fleet_simulation";

/// Does what the arguments ask of a fleet file and returns the exit code.
pub(super) fn main(arguments: &Arguments, file: &Path) -> u8 {
    let (fleet, plan) = match planned(arguments, file) {
        Ok(planned) => planned,
        Err(error) => {
            report(*error);
            return exit::USAGE;
        }
    };
    if arguments.alone {
        return world::main(arguments, &fleet, plan);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::note(&format!("error: {error}"));
            return exit::UNAVAILABLE;
        }
    };
    runtime.block_on(many::main(arguments, &plan))
}

fn planned(arguments: &Arguments, file: &Path) -> Result<(Fleet, Plan), Box<Error>> {
    let fleet = Fleet::read(file).map_err(Box::new)?;
    let inputs = Inputs::from_arguments(&arguments.inputs).map_err(Box::new)?;
    let plan = fleet.expand(&inputs).map_err(Box::new)?;
    Ok((fleet, plan))
}

/// Shows what is wrong with a fleet file, as `synod run` does.
fn report(error: Error) {
    let wrap = std::io::stderr().is_terminal();
    let options = move || miette::MietteHandlerOpts::new().wrap_lines(wrap).build();
    // An error means that somebody has set one before; theirs stays.
    let _ = miette::set_hook(Box::new(move |_| Box::new(options())));
    print::note(&format!("{:?}", miette::Report::new(error)));
}

/// Returns the exit code of an answer: work that fails in a simulation is an answer, a bug of the node is not.
fn code(answer: &Answer) -> u8 {
    let broken = answer.broken.len() + answer.death.as_ref().map_or(0, |death| death.broken.len());
    match answer.verdict {
        Verdict::Refused => exit::USAGE,
        Verdict::Complete | Verdict::Incomplete | Verdict::Stuck | Verdict::Unended if broken == 0 => {
            exit::OK
        }
        Verdict::Complete | Verdict::Incomplete | Verdict::Stuck | Verdict::Unended => exit::BROKEN,
    }
}
