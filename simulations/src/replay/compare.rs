//! What came of a recording beside what was recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod::node::domain::task::Phase;

use super::player::Reel;
use crate::fleet::{quantile, span};
use crate::history::Record;
use crate::judges;
use crate::report::{Broken, Report};
use crate::trace;

/// These go by the slots and the short lanes that clients of drawn worlds have.
const JUDGES_ELSEWHERE: [&str; 2] = ["slots hold", "lanes in order"];

/// How many tasks that ended otherwise are shown to people.
const SHOWN: usize = 10;

/// One side of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How many tasks ended how.
    pub ends: BTreeMap<String, usize>,
    /// From submit to end: half of them at most so long, nine tenths at most so long.
    pub took_ms: [u64; 2],
    /// How many attempts beyond the first of each task.
    pub retries: u64,
    /// How many of those because an attempt was lost with its agent or node.
    pub lost: u64,
}

/// A task that ended otherwise than in the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Different {
    /// As it is called in the recording.
    pub task: String,
    /// What sort of work it is.
    pub kind: String,
    /// How it ended in the recording.
    pub recorded: String,
    /// How it ended in the world.
    pub simulated: String,
    /// Why it ended so there, if it said.
    pub why: Option<String>,
}

/// What came of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// How many tasks were submitted again.
    pub tasks: usize,
    /// How many of those had ended in the recording, and are compared.
    pub compared: usize,
    /// As it was.
    pub recorded: Side,
    /// As it is in the world.
    pub simulated: Side,
    /// Tasks that ended otherwise.
    pub different: Vec<Different>,
    /// What is left out, for people.
    pub notes: Vec<String>,
    /// How often nodes went down.
    pub deaths: usize,
    /// What judges found wrong.
    pub broken: Vec<Broken>,
    /// How many facts which judge checked.
    pub checked: BTreeMap<String, usize>,
    /// The hash of the world's trace.
    pub hash: String,
    /// How much time went by in the world.
    pub simulated_ms: u64,
}

impl Comparison {
    /// Tells whether all tasks ended as in the recording and every judge was content.
    pub fn holds(&self) -> bool {
        self.different.is_empty() && self.broken.is_empty()
    }

    pub(crate) fn of(reel: &Reel, nodes: u64, history: &[Record]) -> Self {
        let text = trace::text(history);
        let asked = judges::ALL.into_iter().filter(|judge| !JUDGES_ELSEWHERE.contains(&judge.name));
        let report = Report::by(asked, history, &text);
        let ended = reel.ended.lock();
        let compared: Vec<_> = reel.score.parts.iter().filter(|part| part.ended.is_some()).collect();
        let mut recorded = Sums::default();
        let mut simulated = Sums::default();
        let mut different = Vec::new();
        for part in &compared {
            let Some((phase, took)) = part.ended else { continue };
            recorded.add(phase, took, part.attempts, part.lost);
            let task = ended.get(&part.task);
            let end = task.and_then(|task| task.end());
            if let (Some(task), Some(end)) = (task, end) {
                let took = end.at.since(task.submitted_at);
                simulated.add(task.phase(), took, task.attempt, task.losses);
            }
            let now = task.map_or("not taken", |task| task.phase().as_str());
            if now != phase.as_str() {
                different.push(Different {
                    task: part.task.to_string(),
                    kind: part.kind.to_string(),
                    recorded: phase.as_str().to_owned(),
                    simulated: now.to_owned(),
                    why: end.and_then(|end| end.outcome.reason()).map(str::to_owned),
                });
            }
        }
        let count = |checked: &crate::report::Checked| (checked.judge.clone(), checked.count);
        Self {
            tasks: reel.score.tasks(),
            compared: compared.len(),
            recorded: recorded.side(),
            simulated: simulated.side(),
            different,
            notes: reel.score.notes.clone(),
            deaths: reel.score.plan(nodes).len(),
            broken: report.broken,
            checked: report.checked.iter().map(count).collect(),
            hash: report.hash,
            simulated_ms: report.simulated_ms,
        }
    }
}

#[derive(Default)]
struct Sums {
    ends: BTreeMap<String, usize>,
    took: Vec<u64>,
    retries: u64,
    lost: u64,
}

impl Sums {
    fn add(&mut self, phase: Phase, took: Duration, attempts: u32, lost: u32) {
        *self.ends.entry(phase.as_str().to_owned()).or_default() += 1;
        self.took.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.retries += u64::from(attempts.saturating_sub(1));
        self.lost += u64::from(lost);
    }

    fn side(mut self) -> Side {
        self.took.sort_unstable();
        let took_ms = [50, 90].map(|percent| quantile(&self.took, percent));
        Side { ends: self.ends, took_ms, retries: self.retries, lost: self.lost }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, compared, deaths, .. } = self;
        writeln!(f, "{tasks} tasks submitted again, {compared} of them compared; {deaths} nodes went down")?;
        writeln!(f, "{:<28} {:>12} {:>12}", "", "recorded", "simulated")?;
        let (was, is) = (&self.recorded, &self.simulated);
        let of = |side: &Side, end: &str| side.ends.get(end).copied().unwrap_or(0);
        let ends: std::collections::BTreeSet<&String> = was.ends.keys().chain(is.ends.keys()).collect();
        for end in ends {
            writeln!(f, "{end:<28} {:>12} {:>12}", of(was, end), of(is, end))?;
        }
        let time = |millis: u64| span(Duration::from_millis(millis));
        for (place, what) in ["submit to end, p50", "submit to end, p90"].into_iter().enumerate() {
            writeln!(f, "{what:<28} {:>12} {:>12}", time(was.took_ms[place]), time(is.took_ms[place]))?;
        }
        writeln!(f, "{:<28} {:>12} {:>12}", "attempts again", was.retries, is.retries)?;
        writeln!(f, "{:<28} {:>12} {:>12}", "of them lost with their node", was.lost, is.lost)?;
        for Different { task, kind, recorded, simulated, why } in self.different.iter().take(SHOWN) {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            writeln!(f, "DIFFERENT {task} ({kind}) was {recorded} and is {simulated}{why}")?;
        }
        if self.different.len() > SHOWN {
            writeln!(f, "and {} more; --json has all", self.different.len() - SHOWN)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let checked: usize = self.checked.values().sum();
        writeln!(f, "{} judges checked {checked} facts", self.checked.len())?;
        self.broken.iter().try_for_each(|broken| broken.fmt(f))
    }
}
