//! What a simulated fleet comes to, as data; [`super::measure`] finds it out, [`super::show`] says it to people.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::report::Broken;

/// Which node dies, and when. Text form: `2@61500`, the node's number and the milliseconds since the world began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// The number of the node.
    pub node: u64,
    /// Since the world began.
    pub at_ms: u64,
}

impl FromStr for Kill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('@').and_then(|(node, at)| Some((node.parse().ok()?, at.parse().ok()?)));
        let (node, at_ms) =
            parts.ok_or_else(|| format!("{text:?} is no node and time; write it like 2@61500"))?;
        Ok(Self { node, at_ms })
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.at_ms)
    }
}

/// How a simulated fleet ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every task of every entry completed.
    Complete,
    /// It came to its end, and not every task completed.
    Incomplete,
    /// It would never end: nothing happens any more.
    Stuck,
    /// It could not begin, or not go on.
    Refused,
    /// It had not ended when the world's longest time was over.
    Unended,
}

/// What a simulated fleet comes to. All times are of the simulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The fleet.
    pub fleet: String,
    /// The plan, by its digest.
    pub plan: String,
    /// The source of everything random.
    pub seed: u64,
    /// On how many nodes.
    pub nodes: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it was refused.
    pub refused: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// How many tasks there are in the plan.
    pub tasks: usize,
    /// How many tasks ended how; those of entries that were not begun are in none.
    pub ends: BTreeMap<String, usize>,
    /// Why entries were not begun, by entry.
    pub not_begun: BTreeMap<String, String>,
    /// How many attempts there were.
    pub attempts: usize,
    /// How many attempts beyond the first of each task.
    pub retries: usize,
    /// How many attempts ended with their agent or node.
    pub lost: usize,
    /// What all attempts used.
    pub usage: Used,
    /// The entries, in the order of the plan.
    pub entries: Vec<EntryAnswer>,
    /// The pools, in order of name.
    pub pools: Vec<PoolAnswer>,
    /// The agents, in order of name.
    pub agents: Vec<AgentAnswer>,
    /// What it would have to be changed for it to be over earlier.
    pub bottleneck: Option<Bottleneck>,
    /// Tasks that ended without a result.
    pub dead_letters: Vec<DeadLetter>,
    /// For how long work of which entry waited for what.
    pub waits: Vec<Wait>,
    /// What limits and constraints do to it, for people.
    pub limits: Vec<String>,
    /// What nobody said and was assumed, for people.
    pub assumed: Vec<String>,
    /// Half way through: who led.
    pub half: Option<Half>,
    /// In a run in which a node dies: what that did.
    pub at_death: Option<AtDeath>,
    /// What becomes of it when a node dies half way through.
    pub death: Option<Death>,
    /// What judges found wrong: bugs of the node, and none of the fleet.
    pub broken: Vec<Broken>,
    /// The hash of the world's trace.
    pub hash: String,
    /// How much time went by in the world, its beginning and its end included.
    pub simulated_ms: u64,
}

/// What attempts used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Cost in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// How an entry went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryAnswer {
    /// Its name.
    pub name: String,
    /// Who does it.
    pub who: String,
    /// How many tasks it has.
    pub tasks: usize,
    /// When the first was submitted, since the run began.
    pub began_ms: u64,
    /// When the last ended.
    pub ended_ms: u64,
    /// How long tasks waited for their first start: half of them at most so long, nine tenths at most so long.
    pub waited_ms: [u64; 2],
    /// How long attempts were held, likewise.
    pub worked_ms: [u64; 2],
    /// How many attempts beyond the first of each task.
    pub retries: usize,
    /// Whether it is on the longest way through the plan.
    pub critical: bool,
}

/// How busy a pool was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolAnswer {
    /// Its name.
    pub name: String,
    /// How many agents worked.
    pub agents: usize,
    /// How many tasks they may hold together.
    pub slots: usize,
    /// How many attempts they made.
    pub attempts: usize,
    /// How many of those gave no result.
    pub failed: usize,
    /// How much of their time they worked while there was work for them, in percent.
    pub busy_percent: u64,
    /// How long that was.
    pub window_ms: u64,
}

/// How busy an agent was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentAnswer {
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// How many attempts it made.
    pub attempts: usize,
    /// How long its slots were taken, summed.
    pub busy_ms: u64,
    /// How much of the run that is, in percent of all its slots.
    pub busy_percent: u64,
}

/// What keeps the run from being over earlier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// `pool` when more agents would help, `work` when only quicker work would, `waiting` otherwise.
    pub kind: String,
    /// The entry that takes longest on the longest way through the plan.
    pub entry: String,
    /// The pool, if more agents would help.
    pub pool: Option<String>,
    /// The longest way through the plan.
    pub path: Vec<String>,
    /// For people.
    pub says: String,
}

/// A task that ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its key in the plan.
    pub key: String,
    /// How it ended.
    pub how: String,
    /// Why.
    pub why: String,
    /// After how many attempts.
    pub attempts: u32,
}

/// For how long work of an entry waited for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The entry.
    pub entry: String,
    /// The node's word for the cause, or for what holds it back.
    pub cause: String,
    /// For how long at least one of its tasks waited for it.
    pub time_ms: u64,
    /// What the node said of one of them.
    pub example: String,
}

/// How the cluster is half way through the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// Since the world began.
    pub at_ms: u64,
    /// Since the run began.
    pub into_run_ms: u64,
    /// The number of the node that leads; the first when nobody does.
    pub leader: u64,
}

/// What the death of a node did to the run in which it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtDeath {
    /// How many tasks had ended by then.
    pub ended_before: usize,
    /// How many attempts were lost from then on.
    pub lost_after: usize,
}

/// What becomes of the same run when a node dies half way through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// The number of the node.
    pub node: u64,
    /// When, since the run began.
    pub at_ms: u64,
    /// After how long it is back, if it comes back before the end.
    pub back_after_ms: Option<u64>,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub duration_ms: u64,
    /// How much longer that is, or shorter.
    pub added_ms: i64,
    /// How many tasks had ended by then; none of them was done again.
    pub ended_before: usize,
    /// How many attempts were under way on the node and were made again.
    pub done_again: usize,
    /// How many tasks completed.
    pub completed: usize,
    /// What judges found wrong.
    pub broken: Vec<Broken>,
}

impl Answer {
    /// Returns how many tasks completed.
    pub fn completed(&self) -> usize {
        self.ends.get("completed").copied().unwrap_or(0)
    }

    /// Says what a run with a death comes to, beside this one without.
    pub fn death_of(&self, kill: Kill, other: &Self) -> Death {
        let began_at = self.half.map_or(0, |half| half.at_ms.saturating_sub(half.into_run_ms));
        let difference = i64::try_from(other.duration_ms).unwrap_or(i64::MAX)
            - i64::try_from(self.duration_ms).unwrap_or(i64::MAX);
        Death {
            node: kill.node,
            at_ms: kill.at_ms.saturating_sub(began_at),
            back_after_ms: super::measure::back_after(other.nodes).map(super::draw::millis),
            verdict: other.verdict,
            duration_ms: other.duration_ms,
            added_ms: difference,
            ended_before: other.at_death.map_or(0, |at| at.ended_before),
            done_again: other.at_death.map_or(0, |at| at.lost_after),
            completed: other.completed(),
            broken: other.broken.clone(),
        }
    }
}
