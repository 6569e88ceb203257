//! One world in this process.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod_simulations::report::Report;
use synod_simulations::{World, trace, view};
use tokio::time::Instant;

use super::arguments::Arguments;
use super::totals::rate;
use super::{exit, print};

/// The kind of its envelope.
pub(crate) const KIND: &str = "simulation";

/// What came of one world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct One {
    /// Its seed.
    pub(crate) seed: u64,
    /// The command that shows it again.
    pub(crate) replay: String,
    /// How long it took.
    pub(crate) real_ms: u64,
    /// Which faults were drawn, the first as number 1.
    pub(crate) plan: Vec<Planned>,
    /// What happened and what the judges say.
    pub(crate) report: Report,
}

/// A fault of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) at_ms: u64,
    pub(crate) kind: String,
    pub(crate) what: String,
}

/// Runs it, writes what was asked for and returns the exit code.
pub(crate) fn main(arguments: &Arguments) -> u8 {
    let begun = Instant::now();
    let world = World::new(arguments.world.settings(arguments.seed));
    let plan = world.plan().into_iter().map(|(at, fault)| Planned {
        at_ms: millis(at),
        kind: fault.kind().to_string(),
        what: fault.to_string(),
    });
    let plan = plan.collect();
    let history = world.run();
    let text = trace::text(&history);
    let one = One {
        seed: arguments.seed,
        replay: arguments.world.replay(arguments.seed),
        real_ms: millis(begun.elapsed()),
        plan,
        report: Report::of(&history, &text),
    };
    let page = arguments.view.as_ref().map(|_| view::page(&history, &one.report, &one.replay)).transpose();
    let written = match page {
        Ok(page) => written(arguments, &text, page.as_deref(), &one),
        Err(error) => {
            print::note(&format!("error: what happened cannot be written as JSON: {error}"));
            Err(exit::OUTPUT)
        }
    };
    match written {
        Ok(()) if one.report.holds() => exit::OK,
        Ok(()) => exit::BROKEN,
        Err(code) => code,
    }
}

fn written(arguments: &Arguments, text: &str, page: Option<&str>, one: &One) -> Result<(), u8> {
    let mut out_is_taken = false;
    if let Some(file) = &arguments.trace {
        out_is_taken = file.as_os_str() == "-";
        write("trace", file, text)?;
    }
    if let (Some(file), Some(page)) = (&arguments.view, page) {
        write("page", file, page)?;
    }
    let said = said(one);
    if out_is_taken {
        // Whoever reads the trace can still see how it ended.
        print::note(&said.trim_end());
        return Ok(());
    }
    if arguments.json { print::envelope(KIND, one) } else { print::out(&said) }
}

fn write(what: &str, file: &Path, text: &str) -> Result<(), u8> {
    if file.as_os_str() == "-" {
        return print::out(&text);
    }
    std::fs::write(file, text).map_err(|error| {
        print::note(&format!("error: the {what} cannot be written to {}: {error}", file.display()));
        exit::USAGE
    })
}

/// Says it to people.
pub(crate) fn said(one: &One) -> String {
    let mut said = format!("{}\n{}", one.replay, one.report);
    let rate = rate(one.report.simulated_ms, one.real_ms);
    said += &format!("{rate} simulated seconds per second\n");
    if !one.report.holds() {
        said += &format!("seed {} breaks it; replay: {} --trace -\n", one.seed, one.replay);
    }
    said
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
