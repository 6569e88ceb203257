//! What is kept of a seed: a line of the ledger, a line of `--json`, a part of the totals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::child::Ended;
use super::one::One;
use super::twice::Difference;

/// How the world of a seed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// All judges were content.
    Holds,
    /// A judge objected.
    Broken,
    /// Two processes did not do the same.
    Differs,
    /// Its process died or hung.
    Died,
}

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seed: u64,
    /// Of which build.
    pub(crate) version: String,
    /// What else the world was made from, as on the command line.
    pub(crate) world: String,
    /// Whether two processes were compared.
    pub(crate) twice: bool,
    pub(crate) outcome: Outcome,
    /// Which judges objected.
    pub(crate) broken: Vec<String>,
    /// What else went wrong.
    pub(crate) why: Option<String>,
    /// Of the trace.
    pub(crate) hash: Option<String>,
    pub(crate) lines: usize,
    pub(crate) simulated_ms: u64,
    pub(crate) real_ms: u64,
    /// How often what was injected.
    pub(crate) injected: BTreeMap<String, usize>,
    /// How many facts which judge checked.
    pub(crate) checked: BTreeMap<String, usize>,
}

/// What makes two entries be about the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) version: String,
    pub(crate) world: String,
    pub(crate) twice: bool,
}

impl Sort {
    /// Tells whether an entry says what this asks for. Who ran twice has run once.
    pub(crate) fn covers(&self, entry: &Entry) -> bool {
        entry.version == self.version && entry.world == self.world && (entry.twice || !self.twice)
    }

    /// Makes the entry of a seed.
    pub(crate) fn entry(&self, seed: u64, ended: &Ended, difference: Option<&Difference>) -> Entry {
        let Self { version, world, twice } = self.clone();
        let mut entry = Entry {
            seed,
            version,
            world,
            twice,
            outcome: Outcome::Holds,
            broken: Vec::new(),
            why: None,
            hash: None,
            lines: 0,
            simulated_ms: 0,
            real_ms: 0,
            injected: BTreeMap::new(),
            checked: BTreeMap::new(),
        };
        match ended {
            Ended::Judged(one) => entry.take(one),
            Ended::Died(how) => {
                entry.outcome = Outcome::Died;
                entry.why = Some(how.clone());
            }
        }
        if let Some(difference) = difference {
            entry.outcome = Outcome::Differs;
            entry.why = Some(difference.to_string());
        }
        entry
    }
}

impl Entry {
    fn take(&mut self, one: &One) {
        let report = &one.report;
        self.broken = report.broken.iter().map(|broken| broken.judge.clone()).collect();
        if !report.holds() {
            self.outcome = Outcome::Broken;
        }
        self.hash = Some(report.hash.clone());
        self.lines = report.lines;
        self.simulated_ms = report.simulated_ms;
        self.real_ms = one.real_ms;
        self.injected.clone_from(&report.injected);
        self.checked = report.checked.iter().map(|checked| (checked.judge.clone(), checked.count)).collect();
    }
}
