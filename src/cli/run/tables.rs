//! The end of a run, for people.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use synod_domain::task::Phase;

use crate::cli::print::harmless;
use crate::run::{EntryOutcome, Outcome, TaskOutcome};

/// How many failures are listed; `--json` has them all.
const FAILURES_MAX: usize = 20;

/// How much of a single task's result is shown.
const RESULT_CHARS_MAX: usize = 400;

/// Says what came of a run: a table of entries, what failed and why, short results, and the sum.
pub(super) fn render(outcome: &Outcome, took: Duration) -> String {
    let mut parts = vec![entries_table(outcome).to_string()];
    parts.extend(failures(outcome));
    parts.extend(outcome.entries.iter().filter_map(single_result));
    parts.push(format!("{} in {:.1} s", outcome.summary(), took.as_secs_f64()));
    parts.join("\n")
}

fn table() -> Table {
    let mut table = Table::new();
    // On a terminal, columns fit its width; elsewhere lines stay whole.
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn entries_table(outcome: &Outcome) -> Table {
    let mut table = table();
    table.set_header(["entry", "tasks", "completed", "failed", "timed out", "cancelled", "retried"]);
    for entry in &outcome.entries {
        let count = |phase| entry.tasks.iter().filter(|task| task.status == phase).count().to_string();
        let retried = entry.tasks.iter().filter(|task| task.attempts.len() > 1).count();
        table.add_row([
            entry.name.to_string(),
            entry.skipped.as_ref().map_or_else(|| entry.tasks.len().to_string(), |_| "not begun".to_owned()),
            count(Phase::Completed),
            count(Phase::Failed),
            count(Phase::TimedOut),
            count(Phase::Cancelled),
            retried.to_string(),
        ]);
    }
    table
}

/// Lists what did not complete and why, entries that were not begun last.
fn failures(outcome: &Outcome) -> Vec<String> {
    let failed: Vec<&TaskOutcome> = outcome.tasks().filter(|task| task.status != Phase::Completed).collect();
    let mut parts = Vec::new();
    if !failed.is_empty() {
        let mut table = table();
        table.set_header(["what did not complete", "how", "why"]);
        for task in failed.iter().take(FAILURES_MAX) {
            let reason = harmless(task.reason.as_deref().unwrap_or(""));
            table.add_row([&harmless(&task.key), task.status.as_str(), &reason]);
        }
        parts.push(table.to_string());
    }
    if failed.len() > FAILURES_MAX {
        parts.push(format!("and {} more; --json lists them all", failed.len() - FAILURES_MAX));
    }
    for entry in &outcome.entries {
        parts.extend(entry.skipped.as_ref().map(|reason| format!("{} was not begun: {reason}", entry.name)));
    }
    parts
}

/// Shows the result of an entry that is one task: a report, or a short text.
fn single_result(entry: &EntryOutcome) -> Option<String> {
    let [task] = &entry.tasks[..] else { return None };
    let result = task.result.as_ref()?;
    if let Some(report) = result.get("report").and_then(Value::as_str) {
        return Some(format!("report: {}", harmless(report)));
    }
    let text = match result {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let short: String = text.chars().take(RESULT_CHARS_MAX).collect();
    Some(format!("{}: {}", entry.name, harmless(&short)))
}
