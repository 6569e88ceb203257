//! What a run says to people: what was injected, what was checked, and what broke.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Fact, Record};
use crate::judges::{self, Judge, Violation};
use crate::trace;

/// How many lines of the trace before a violation are shown.
const LINES_SHOWN: usize = 24;

/// The outcome of one run.
#[derive(Debug)]
pub struct Report {
    /// The hash of the trace.
    pub hash: u64,
    lines: usize,
    simulated: std::time::Duration,
    injected: BTreeMap<&'static str, usize>,
    checked: Vec<(Judge, usize)>,
    broken: Vec<Broken>,
}

#[derive(Debug)]
struct Broken {
    judge: Judge,
    violation: Violation,
    lines: Vec<String>,
}

impl Report {
    /// Asks all judges about a history; `text` is its trace.
    pub fn of(history: &[Record], text: &str) -> Self {
        let mut report = Self {
            hash: trace::hash(text.as_bytes()),
            lines: history.len(),
            simulated: history.last().map(|record| record.at).unwrap_or_default(),
            injected: injected(history),
            checked: Vec::new(),
            broken: Vec::new(),
        };
        for judge in judges::ALL {
            match (judge.look)(history) {
                Ok(checked) => report.checked.push((judge, checked)),
                Err(violation) => {
                    let lines = relevant(history, &violation);
                    report.broken.push(Broken { judge, violation, lines });
                }
            }
        }
        report
    }

    /// Tells whether every judge was content.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

fn injected(history: &[Record]) -> BTreeMap<&'static str, usize> {
    let mut injected = BTreeMap::new();
    for record in history {
        let what = match &record.fact {
            Fact::Injected(fault) => fault.kind().as_str(),
            Fact::Lost { unsynced, kept } if kept < unsynced => "power losses that lost writes",
            Fact::Lost { unsynced, kept } if *unsynced > 0 && kept == unsynced => {
                "power losses that kept all writes"
            }
            Fact::NodeFailed { .. } => "ends of the node by itself",
            _ => continue,
        };
        *injected.entry(what).or_default() += 1;
    }
    injected
}

/// Returns the last lines about the violation's task, or simply the last ones, up to the violation.
fn relevant(history: &[Record], violation: &Violation) -> Vec<String> {
    let until = history.iter().take(violation.record + 1);
    let about = |record: &&Record| match violation.task {
        Some(task) => {
            record.fact.concerns(task)
                || matches!(record.fact, Fact::Injected(_) | Fact::Lost { .. } | Fact::Starting { .. })
        }
        None => true,
    };
    let lines: Vec<String> = until.filter(about).map(ToString::to_string).collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].to_vec()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.simulated.as_secs_f64();
        writeln!(f, "simulated {seconds:.3} s, {} lines, trace hash {:016x}", self.lines, self.hash)?;
        writeln!(f, "injected:")?;
        if self.injected.is_empty() {
            writeln!(f, "  nothing")?;
        }
        for (what, count) in &self.injected {
            writeln!(f, "  {count:>6}  {what}")?;
        }
        writeln!(f, "checked:")?;
        for (judge, count) in &self.checked {
            writeln!(f, "  {count:>6}  {}: {}", judge.name, judge.says)?;
        }
        for Broken { judge, violation, lines } in &self.broken {
            writeln!(f, "VIOLATION of \"{}\": {}", judge.name, judge.says)?;
            if let Some(task) = violation.task {
                writeln!(f, "  {task}")?;
            }
            writeln!(f, "  {}", violation.what)?;
            for line in lines {
                writeln!(f, "  | {line}")?;
            }
        }
        Ok(())
    }
}
