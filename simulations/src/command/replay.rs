//! A recorded stream of a real node, played in a world in this process.

use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use synod::recording;
use synod_simulations::faults::Kinds;
use synod_simulations::replay::Score;
use synod_simulations::{Settings, World, trace};
use tokio::time::Instant;

use super::arguments::Arguments;
use super::totals::rate;
use super::{exit, one, print};

/// The kind of its envelope.
const KIND: &str = "replay";

/// Plays it, prints the comparison and returns the exit code.
pub(super) fn main(arguments: &Arguments, file: &Path) -> u8 {
    let begun = Instant::now();
    let score = match recording::read(file) {
        Ok(recording) => Score::of(&recording),
        Err(error) => {
            print::note(&format!("error: {error}"));
            return exit::USAGE;
        }
    };
    if score.tasks() == 0 {
        print::note(&format!(
            "error: {}: no task was submitted within the recording, so there is nothing to play; record while work \
             comes in",
            file.display()
        ));
        return exit::USAGE;
    }
    let settings = arguments.world.settings(arguments.seed);
    let faults = arguments.world.faults.clone().unwrap_or(Kinds(Vec::new()));
    let bar = bar(score.tasks());
    let shown = bar.clone();
    let heard = Arc::new(move |done| shown.set_position(done));
    let (comparison, history) = World::replay(Settings { faults, ..settings }, score, Some(heard));
    bar.finish_and_clear();
    if let Some(file) = &arguments.trace
        && let Err(code) = one::write("trace", file, &trace::text(&history))
    {
        return code;
    }
    let said = if arguments.json { print::envelope(KIND, &comparison) } else { print::out(&comparison) };
    let real = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    print::progress(&format!("{} simulated seconds per second", rate(comparison.simulated_ms, real)));
    match said {
        Err(code) => code,
        Ok(()) if comparison.holds() => exit::OK,
        Ok(()) => exit::BROKEN,
    }
}

/// Makes a bar of so many tasks; it is drawn on a terminal only.
fn bar(tasks: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(tasks).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {pos}/{len} tasks {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
