//! The end of a run, for people.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde_json::Value;
use synod_domain::task::Phase;

use crate::run::{EntryOutcome, Outcome, TaskOutcome};

/// How many failures are listed; `--json` has them all.
const FAILURES_MAX: usize = 20;

/// How much of a single task's result is shown.
const RESULT_CHARS_MAX: usize = 400;

pub(super) fn print(outcome: &Outcome, took: Duration) {
    println!("{}", entries_table(outcome));
    print_failures(outcome);
    for entry in &outcome.entries {
        print_single_result(entry);
    }
    println!("{} in {:.1} s", outcome.summary(), took.as_secs_f64());
}

fn entries_table(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header([
        "entry",
        "tasks",
        "completed",
        "failed",
        "timed out",
        "cancelled",
        "retried",
    ]);
    for entry in &outcome.entries {
        if let Some(reason) = &entry.skipped {
            table.add_row([entry.name.to_string(), format!("not begun: {reason}")]);
            continue;
        }
        let count = |phase| entry.tasks.iter().filter(|task| task.status == phase).count().to_string();
        let retried = entry.tasks.iter().filter(|task| task.attempts.len() > 1).count();
        table.add_row([
            entry.name.to_string(),
            entry.tasks.len().to_string(),
            count(Phase::Completed),
            count(Phase::Failed),
            count(Phase::TimedOut),
            count(Phase::Cancelled),
            retried.to_string(),
        ]);
    }
    table
}

fn print_failures(outcome: &Outcome) {
    let failures: Vec<&TaskOutcome> =
        outcome.tasks().filter(|task| task.status != Phase::Completed).collect();
    if failures.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(["what did not complete", "how", "why"]);
    for task in failures.iter().take(FAILURES_MAX) {
        let reason = task.reason.as_deref().unwrap_or("");
        table.add_row([&task.key, task.status.as_str(), reason]);
    }
    println!("{table}");
    if failures.len() > FAILURES_MAX {
        println!("and {} more; --json lists them all", failures.len() - FAILURES_MAX);
    }
}

/// Shows the result of an entry that is one task: a report, or a short text.
fn print_single_result(entry: &EntryOutcome) {
    let [task] = &entry.tasks[..] else { return };
    let Some(result) = &task.result else { return };
    if let Some(report) = result.get("report").and_then(Value::as_str) {
        println!("report: {report}");
        return;
    }
    let text = match result {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let short: String = text.chars().take(RESULT_CHARS_MAX).collect();
    println!("{}: {short}", entry.name);
}
