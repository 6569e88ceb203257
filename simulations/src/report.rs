//! What a run says to people: what was injected, what was checked, and what broke.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Fact, Record};
use crate::judges::{self, Judge, Violation};
use crate::trace;

/// How many lines of the trace before a violation are shown.
const LINES_SHOWN: usize = 24;

/// The outcome of one run. In JSON it is what `synod-simulate --json` prints as `report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The hash of the trace, in sixteen digits.
    pub hash: String,
    /// How many lines the trace has.
    pub lines: usize,
    /// How much time went by in the world.
    pub simulated_ms: u64,
    /// How often what was injected.
    pub injected: BTreeMap<String, usize>,
    /// How many operations each client did.
    pub operations: BTreeMap<String, u64>,
    /// What each content judge checked.
    pub checked: Vec<Checked>,
    /// What broke.
    pub broken: Vec<Broken>,
}

/// What a judge looked at and found nothing wrong with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The judge's name.
    pub judge: String,
    /// Its property.
    pub says: String,
    /// How many facts it checked.
    pub count: usize,
}

/// What a judge found wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The judge's name.
    pub judge: String,
    /// Its property.
    pub says: String,
    /// The task it is about, if it is about one.
    pub task: Option<String>,
    /// What is wrong.
    pub what: String,
    /// When, since the world began.
    pub at_ms: u64,
    /// The last lines of the trace that matter.
    pub lines: Vec<String>,
}

impl Report {
    /// Asks all judges about a history; `text` is its trace.
    pub fn of(history: &[Record], text: &str) -> Self {
        Self::with(&[], history, text)
    }

    /// Asks all judges, and these after them.
    pub fn with(others: &[Judge], history: &[Record], text: &str) -> Self {
        Self::by(judges::ALL.iter().chain(others).copied(), history, text)
    }

    /// Asks these judges alone.
    pub fn by(asked: impl IntoIterator<Item = Judge>, history: &[Record], text: &str) -> Self {
        let mut report = Self {
            hash: format!("{:016x}", trace::hash(text.as_bytes())),
            lines: history.len(),
            simulated_ms: history.last().map(millis).unwrap_or_default(),
            injected: injected(history),
            operations: operations(history),
            checked: Vec::new(),
            broken: Vec::new(),
        };
        for judge in asked {
            let (name, says) = (judge.name.to_owned(), judge.says.to_owned());
            match (judge.look)(history) {
                Ok(count) => report.checked.push(Checked { judge: name, says, count }),
                Err(violation) => report.broken.push(Broken {
                    judge: name,
                    says,
                    task: violation.task.map(|task| task.to_string()),
                    at_ms: history.get(violation.record).map(millis).unwrap_or_default(),
                    lines: relevant(history, &violation),
                    what: violation.what,
                }),
            }
        }
        report
    }

    /// Tells whether every judge was content.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

fn millis(record: &Record) -> u64 {
    u64::try_from(record.at.as_millis()).unwrap_or(u64::MAX)
}

fn operations(history: &[Record]) -> BTreeMap<String, u64> {
    let mut operations = BTreeMap::new();
    for record in history {
        if let Fact::Asked { client, .. } = &record.fact {
            *operations.entry(client.to_string()).or_default() += 1;
        }
    }
    operations
}

fn injected(history: &[Record]) -> BTreeMap<String, usize> {
    let mut injected = BTreeMap::new();
    for record in history {
        let what = match &record.fact {
            Fact::Injected(fault) => fault.kind().as_str(),
            Fact::Lost { unsynced, kept } if kept < unsynced => "power losses that lost writes",
            Fact::Lost { unsynced, kept } if *unsynced > 0 && kept == unsynced => {
                "power losses that kept all writes"
            }
            Fact::NodeFailed { .. } => "ends of a node by itself",
            Fact::Datagrams { lost, doubled, late } => {
                let counts =
                    [("datagrams lost", lost), ("datagrams doubled", doubled), ("datagrams overtaken", late)];
                for (what, count) in counts {
                    if let Ok(count @ 1..) = usize::try_from(*count) {
                        injected.insert(what.to_owned(), count);
                    }
                }
                continue;
            }
            _ => continue,
        };
        *injected.entry(what.to_owned()).or_default() += 1;
    }
    injected
}

/// Returns the last lines about the violation's task, or simply the last ones, up to the violation.
fn relevant(history: &[Record], violation: &Violation) -> Vec<String> {
    let until = history.iter().take(violation.record + 1);
    let about = |record: &&Record| match violation.task {
        Some(task) => {
            record.fact.concerns(task)
                || matches!(
                    record.fact,
                    Fact::Injected(_) | Fact::Lost { .. } | Fact::Starting { .. } | Fact::Leads { .. }
                )
        }
        None => true,
    };
    let lines: Vec<String> = until.filter(about).map(ToString::to_string).collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].to_vec()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.simulated_ms / 1_000, self.simulated_ms % 1_000);
        writeln!(f, "simulated {seconds}.{millis:03} s, {} lines, trace hash {}", self.lines, self.hash)?;
        writeln!(f, "injected:")?;
        if self.injected.is_empty() {
            writeln!(f, "  nothing")?;
        }
        for (what, count) in &self.injected {
            writeln!(f, "  {count:>6}  {what}")?;
        }
        writeln!(f, "checked:")?;
        for Checked { judge, says, count } in &self.checked {
            writeln!(f, "  {count:>6}  {judge}: {says}")?;
        }
        self.broken.iter().try_for_each(|broken| broken.fmt(f))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VIOLATION of \"{}\": {}", self.judge, self.says)?;
        if let Some(task) = &self.task {
            writeln!(f, "  {task}")?;
        }
        writeln!(f, "  {}", self.what)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  | {line}"))
    }
}
