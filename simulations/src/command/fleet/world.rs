//! One world of a fleet in this process.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use synod::fleet::{Fleet, Plan};
use synod_simulations::faults::Kinds;
use synod_simulations::fleet::{Answer, Play};
use synod_simulations::report::Report;
use synod_simulations::{Settings, World, judges, trace, view};

use super::super::arguments::Arguments;
use super::super::{exit, one, print};
use super::KIND;

/// Lives it, prints what came of it as JSON and returns the exit code.
pub(super) fn main(arguments: &Arguments, fleet: &Fleet, plan: Plan) -> u8 {
    let settings = arguments.world.settings(arguments.seed);
    let faults = arguments.world.faults.clone().unwrap_or(Kinds(Vec::new()));
    let bar = bar(u64::try_from(plan.task_count()).unwrap_or(u64::MAX), arguments);
    let shown = bar.clone();
    let play = Play {
        plan,
        simulation: fleet.simulation(),
        kill: arguments.kill,
        heard: Some(Arc::new(move |ended, _| shown.set_position(ended))),
    };
    let (answer, history) = World::play(Settings { faults, ..settings }, play);
    bar.finish_and_clear();
    let text = trace::text(&history);
    if let Some(file) = &arguments.trace
        && let Err(code) = one::write("trace", file, &text)
    {
        return code;
    }
    if let Some(file) = &arguments.view {
        // What the judges say of it stands in the answer.
        let report = Report::by(judges::ALL.into_iter().take(0), &history, &text);
        let page = match view::page(&history, &report, &replay(arguments)) {
            Ok(page) => page,
            Err(error) => {
                print::note(&format!("error: what happened cannot be written as JSON: {error}"));
                return exit::OUTPUT;
            }
        };
        if let Err(code) = one::write("page", file, &page) {
            return code;
        }
    }
    printed(&answer)
}

fn printed(answer: &Answer) -> u8 {
    match print::envelope(KIND, answer) {
        Ok(()) => super::code(answer),
        Err(code) => code,
    }
}

fn replay(arguments: &Arguments) -> String {
    let file = arguments.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    format!("synod simulate {file} --seed {}", arguments.seed)
}

/// Makes a bar of so many tasks; it is drawn on a terminal only.
fn bar(tasks: u64, arguments: &Arguments) -> ProgressBar {
    let bar = ProgressBar::new(tasks);
    let what = if arguments.kill.is_some() { "the same with a node dying" } else { "tasks" };
    let template = format!("[{{bar:40}}] {{pos}}/{{len}} {what} {{elapsed}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
