//! `synod-model`: visits every state of the model within bounds, and says what it found.

use std::process::ExitCode;

use synod_domain::mutants::{Mutant, choose};
use synod_model::properties::search;
use synod_model::protocol::Bounds;

/// What it takes, for people.
const USAGE: &str = "usage: synod-model [--large] [--mutant=NAME]";

fn main() -> ExitCode {
    match bounds(std::env::args().skip(1)) {
        Ok(bounds) => {
            let found = search(bounds);
            print!("{found}");
            if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn bounds(arguments: impl Iterator<Item = String>) -> Result<Bounds, String> {
    let mut bounds = Bounds::SMALL;
    for argument in arguments {
        if argument == "--large" {
            bounds = Bounds::LARGE;
        } else if let Some(name) = argument.strip_prefix("--mutant=") {
            let known = Mutant::ALL.iter().find(|mutant| mutant.as_str() == name);
            let mutant = known.ok_or_else(|| format!("there is no mutant {name:?}"))?;
            choose(*mutant).map_err(|error| error.to_string())?;
        } else {
            return Err(format!("what is {argument:?}?"));
        }
    }
    Ok(bounds)
}
