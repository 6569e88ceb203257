//! What all seeds of a sweep come to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::arguments::WorldArgs;
use super::entry::{Entry, Outcome};

/// The kind of their envelope.
pub(crate) const KIND: &str = "simulation_sweep";

/// What all seeds come to.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Totals {
    /// How many seeds ended how.
    pub(crate) outcomes: BTreeMap<Outcome, usize>,
    /// How many of them stood in the ledger.
    pub(crate) from_ledger: usize,
    /// How often what was injected, and in how many worlds.
    pub(crate) injected: BTreeMap<String, Count>,
    /// How many facts which judge checked, and in how many worlds.
    pub(crate) checked: BTreeMap<String, Count>,
    /// Of the worlds that were run now.
    pub(crate) simulated_ms: u64,
    /// What the processes of those took together, at `jobs` a time.
    pub(crate) process_ms: u64,
    /// What passed meanwhile.
    pub(crate) real_ms: u64,
    /// The seeds that do not hold.
    pub(crate) broken: Vec<Finding>,
}

/// How often, and in how many worlds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) times: usize,
    pub(crate) worlds: usize,
}

/// A seed that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) seed: u64,
    pub(crate) outcome: Outcome,
    /// Which judges object, or what else is wrong.
    pub(crate) what: Vec<String>,
    /// The command that shows it.
    pub(crate) replay: String,
}

impl Totals {
    /// Adds a seed; one that was run now also counts for the speed.
    pub(crate) fn add(&mut self, entry: &Entry, world: &WorldArgs, from_ledger: bool) {
        *self.outcomes.entry(entry.outcome).or_default() += 1;
        count(&mut self.injected, &entry.injected);
        count(&mut self.checked, &entry.checked);
        if from_ledger {
            self.from_ledger += 1;
        } else {
            let times = 1 + u64::from(entry.twice);
            self.simulated_ms += entry.simulated_ms * times;
            self.process_ms += entry.real_ms * times;
        }
        if entry.outcome != Outcome::Holds {
            let mut what = entry.broken.clone();
            what.extend(entry.why.clone());
            let again = if entry.outcome == Outcome::Differs { " --twice" } else { "" };
            let replay = format!("{}{again}", world.replay(entry.seed));
            self.broken.push(Finding { seed: entry.seed, outcome: entry.outcome, what, replay });
        }
    }

    /// How many seeds there were.
    pub(crate) fn seeds(&self) -> usize {
        self.outcomes.values().sum()
    }

    /// Simulated seconds per second.
    pub(crate) fn rate(&self) -> String {
        rate(self.simulated_ms, self.real_ms)
    }
}

/// How many of one go into one of the other, with a digit after the point.
pub(crate) fn rate(simulated_ms: u64, real_ms: u64) -> String {
    let tenths = simulated_ms.saturating_mul(10) / real_ms.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn count(counts: &mut BTreeMap<String, Count>, of_one: &BTreeMap<String, usize>) {
    for (what, times) in of_one.iter().filter(|(_, times)| **times > 0) {
        let count = counts.entry(what.clone()).or_default();
        count.times += times;
        count.worlds += 1;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "hold",
            Self::Broken => "broken",
            Self::Differs => "differ",
            Self::Died => "died",
        })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table =
            |f: &mut fmt::Formatter<'_>, title: &str, unit: &str, counts: &BTreeMap<String, Count>| {
                writeln!(f, "{title:<40} {unit:>12} {:>10}", "in worlds")?;
                let mut rows = counts.iter();
                rows.try_for_each(|(what, Count { times, worlds })| {
                    writeln!(f, "  {what:<38} {times:>12} {worlds:>10}")
                })
            };
        table(f, "injected", "times", &self.injected)?;
        table(f, "checked", "facts", &self.checked)?;
        for Finding { seed, outcome, what, replay } in &self.broken {
            writeln!(f, "seed {seed} {outcome}: {}; replay: {replay}", what.join("; "))?;
        }
        write!(f, "{} seeds:", self.seeds())?;
        let mut comma = "";
        for (outcome, count) in &self.outcomes {
            write!(f, "{comma} {count} {outcome}")?;
            comma = ",";
        }
        if self.from_ledger > 0 {
            write!(f, "; {} of them stood in the ledger", self.from_ledger)?;
        }
        let (simulated, real) = (self.simulated_ms / 1_000, self.real_ms / 1_000);
        let each = rate(self.simulated_ms, self.process_ms);
        writeln!(
            f,
            "\nsimulated {simulated} s in {real} s: {} per second, {each} per second and process",
            self.rate()
        )
    }
}
