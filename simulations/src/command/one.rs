//! One world in this process.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use synod_simulations::report::Report;
use synod_simulations::{Settings, World, trace, view};
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

/// Makes a bar of so many simulated milliseconds; it is drawn on a terminal only.
fn bar(millis: u64) -> ProgressBar {
    let bar = ProgressBar::new(millis);
    let template = "[{bar:40}] {percent} % of the simulated time, then what is left ends {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Runs it, writes what was asked for and returns the exit code.
pub(crate) fn main(arguments: &Arguments) -> u8 {
    let begun = Instant::now();
    let settings = arguments.world.settings(arguments.seed);
    let bar = bar(millis(settings.duration));
    let shown = bar.clone();
    let world = World::new(settings.clone()).on_time(move |at| shown.set_position(millis(at)));
    let plan = world.plan().into_iter().map(|(at, fault)| Planned {
        at_ms: millis(at),
        kind: fault.kind().to_string(),
        what: fault.to_string(),
    });
    let plan = plan.collect();
    let history = world.run();
    bar.finish_and_clear();
    let text = trace::text(&history);
    let mut report = Report::of(&history, &text);
    let Settings { nodes, duration, left_out, .. } = &settings;
    let drawn = settings.workloads.drawn(settings.seed);
    report.broken.extend(drawn.missing(*nodes, millis(*duration), left_out, &history));
    let one = One {
        seed: arguments.seed,
        replay: arguments.world.replay(arguments.seed),
        real_ms: millis(begun.elapsed()),
        plan,
        report,
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

/// Writes a file that was asked for. The error is the exit code to stop with.
pub(crate) fn write(what: &str, file: &Path, text: &str) -> Result<(), u8> {
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
