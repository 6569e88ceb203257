//! Bringing a new blueprint to the agents of a pool, a few at a time.
//!
//! ```text
//!            ┌───────── Canary ──── the new version does well ────┐
//!   begins ──┤             │                                      ▼
//!            └─────────────┼──────────────────────────────────► Rolling ──► Done
//!                          └── it fails more, or an agent of it fails ──┐ │
//!                                                        RollingBack ◄──┴─┘──► RolledBack
//! ```
//!
//! An agent changes its version by beginning anew: it finishes what it has and is started from the other blueprint, so
//! no work is lost. The rule here looks at the agents and says what is next; whoever leads proposes that.
//!
//! Promises: no more than a batch of agents is on its way at a time; nobody goes on while an agent of the new version is
//! failed; a verdict on canaries is given on what ended in their hands and on nothing else; the same view gives the same
//! step. Left to others: draining and starting agents, and keeping the counts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::{PoolSpec, RuntimeSpec, Standing};
use crate::capability::Capabilities;
use crate::id::AgentId;
use crate::mutants::{Mutant, mutant};
use crate::time::Timestamp;

/// The most agents that are on their way at a time.
pub const BATCH_MAX: u32 = 1000;

/// What the agents of a pool are made from: the part of its definition whose change makes other agents of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// How they are run.
    pub runtime: RuntimeSpec,
    /// What they can do.
    pub capabilities: Capabilities,
    /// How many tasks each of them may hold.
    pub concurrency: u32,
}

impl Blueprint {
    /// Returns what the agents of such a pool are made from.
    pub fn of(spec: &PoolSpec) -> Self {
        Self {
            runtime: spec.runtime.clone(),
            capabilities: spec.capabilities.clone(),
            concurrency: spec.concurrency,
        }
    }

    /// Tells whether the agents of such a pool are made from it.
    pub fn is_of(&self, spec: &PoolSpec) -> bool {
        self.runtime == spec.runtime
            && self.capabilities == spec.capabilities
            && self.concurrency == spec.concurrency
    }

    /// Returns a pool's definition with its agents made from this.
    pub fn in_place(&self, spec: &PoolSpec) -> PoolSpec {
        let Self { runtime, capabilities, concurrency } = self.clone();
        PoolSpec { runtime, capabilities, concurrency, ..spec.clone() }
    }
}

/// How a new blueprint is brought to a pool's agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    /// How many agents are on their way at a time, 1 to [`BATCH_MAX`].
    pub batch: u32,
    /// Who goes first and is watched; nobody without.
    pub canary: Option<Canary>,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self { batch: 1, canary: None }
    }
}

impl RolloutPolicy {
    /// Says what is wrong with it, if anything is.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.batch == 0 || self.batch > BATCH_MAX {
            return Some(("rollout.batch", "it must be from 1 to 1000"));
        }
        match &self.canary {
            Some(canary) if canary.agents == 0 => Some(("rollout.canary.agents", "it must be at least 1")),
            Some(canary) if canary.excess_percent > 100 => {
                Some(("rollout.canary.excess_percent", "it must be from 0 to 100"))
            }
            Some(_) | None => None,
        }
    }
}

/// The agents that try a new blueprint first, and what is expected of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// How many they are.
    pub agents: u32,
    /// How many attempts must have ended in their hands before the others follow.
    pub tasks_min: u64,
    /// By how many percent points more of their attempts may fail than of those of the old version.
    pub excess_percent: u32,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A few agents of the new version are watched.
    Canary,
    /// The others follow.
    Rolling,
    /// Agents of the new version begin anew from the old blueprint.
    RollingBack,
    /// All agents are of the new version.
    Done,
    /// All agents are of the old version again.
    RolledBack,
}

impl Stage {
    /// Tells whether nothing is left to do.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack)
    }

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Rolling => "rolling",
            Self::RollingBack => "rolling_back",
            Self::Done => "done",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A blueprint and the number that its agents are known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, unique in the pool.
    pub number: u64,
    /// What its agents are made from.
    pub blueprint: Arc<Blueprint>,
}

/// How attempts ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many completed.
    pub completed: u64,
    /// How many failed.
    pub failed: u64,
}

impl Tally {
    /// Returns how many ended.
    pub const fn ended(self) -> u64 {
        self.completed.saturating_add(self.failed)
    }

    /// Adds what another one has counted.
    pub const fn add(&mut self, other: Self) {
        self.completed = self.completed.saturating_add(other.completed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// A rollout, as agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// What the agents are made from before it.
    pub from: Version,
    /// What they shall be made from.
    pub to: Version,
    /// How they get there.
    pub policy: RolloutPolicy,
    /// How far it is.
    pub stage: Stage,
    /// Why it stands still; `None` while it goes on.
    pub paused: Option<Arc<str>>,
    /// Why it is where it is, for a person.
    pub reason: Arc<str>,
    /// When it began.
    pub began_at: Timestamp,
    /// Since when it is in this stage.
    pub since: Timestamp,
    /// What ended in the hands of agents of the old version whose lives are over, since it began.
    pub old: Tally,
    /// The same for the new version.
    pub new: Tally,
}

impl Rollout {
    /// Returns the version that agents get in this stage, canaries apart.
    pub fn goal(&self) -> &Version {
        match self.stage {
            Stage::Rolling | Stage::Done => &self.to,
            Stage::Canary | Stage::RollingBack | Stage::RolledBack => &self.from,
        }
    }
}

/// The versions of a pool's blueprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The number of what stands in the pool's definition.
    pub number: u64,
    /// The last number that was given out.
    pub last: u64,
    /// The rollout that is under way, or the last one.
    pub rollout: Option<Rollout>,
}

/// An agent of the pool, as far as a rollout is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub agent: AgentId,
    /// Its version.
    pub version: u64,
    /// The version from which it is about to begin anew.
    pub renewing: Option<u64>,
    /// Its standing.
    pub standing: Standing,
    /// How many tasks it holds.
    pub held: usize,
    /// What ended in its hands in its present life.
    pub tally: Tally,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for this reason; an event will change that.
    Wait(String),
    /// These agents begin anew from this version.
    Renew {
        /// Which.
        agents: Vec<AgentId>,
        /// From which version.
        version: u64,
    },
    /// The rollout enters another stage.
    Enter {
        /// Which.
        stage: Stage,
        /// Why.
        reason: String,
    },
}

/// Says what is next in a rollout. O(n log n) for n agents.
pub fn next(rollout: &Rollout, members: &[Member]) -> Step {
    if let Some(reason) = &rollout.paused {
        return Step::Wait(format!("it is paused: {reason}"));
    }
    match rollout.stage {
        Stage::Canary => watch(rollout, members),
        Stage::Rolling => match failed_of(rollout, members) {
            Some(reason) => Step::Enter { stage: Stage::RollingBack, reason },
            None => converge(rollout, members, Stage::Done),
        },
        Stage::RollingBack => converge(rollout, members, Stage::RolledBack),
        // Whoever began from another version while the last ones changed follows.
        Stage::Done | Stage::RolledBack => converge(rollout, members, rollout.stage),
    }
}

/// Starts canaries, watches them, and says what comes of it.
fn watch(rollout: &Rollout, members: &[Member]) -> Step {
    let Some(canary) = &rollout.policy.canary else {
        return Step::Enter { stage: Stage::Rolling, reason: "nobody is to go first".to_owned() };
    };
    let (old, new) = tallies(rollout, members);
    if let Some(reason) = failed_of(rollout, members).or_else(|| too_bad(canary, old, new)) {
        return Step::Enter { stage: Stage::RollingBack, reason };
    }
    let to = rollout.to.number;
    let is_canary = |member: &&Member| member.renewing.unwrap_or(member.version) == to;
    let present = |member: &&Member| member.standing != Standing::Offline;
    let there = members.iter().filter(present).count();
    let wanted = (canary.agents as usize).min(there);
    let canaries = members.iter().filter(present).filter(is_canary).count();
    if canaries < wanted {
        let others = members.iter().filter(|member| !is_canary(member));
        let agents = first_of(rollout, members, others, to, wanted - canaries);
        return match agents.is_empty() {
            true => Step::Wait("its first agents are on their way".to_owned()),
            false => Step::Renew { agents, version: to },
        };
    }
    let serves = |member: &&Member| member.version == to && member.standing == Standing::Ready;
    if wanted == 0 || members.iter().filter(serves).count() < wanted {
        return Step::Wait("its first agents are on their way".to_owned());
    }
    if new.ended() < canary.tasks_min {
        let (ended, of) = (new.ended(), canary.tasks_min);
        return Step::Wait(format!("{ended} of {of} attempts of the new version have ended"));
    }
    let reason = format!("of {} attempts of the new version {} failed", new.ended(), new.failed);
    Step::Enter { stage: Stage::Rolling, reason }
}

/// Lets agents of other versions than the goal begin anew, a batch at a time.
fn converge(rollout: &Rollout, members: &[Member], end: Stage) -> Step {
    let goal = rollout.goal().number;
    let strays =
        members.iter().filter(|member| member.version != goal && member.standing != Standing::Offline);
    let left = strays.clone().count();
    if left == 0 {
        return match members.iter().filter(|member| is_away(member, goal)).count() {
            0 if end == rollout.stage || mutant(Mutant::LeaveItUnfinished) => {
                Step::Wait("it is over".to_owned())
            }
            0 => {
                let reason = format!("all agents are of version {goal}");
                Step::Enter { stage: end, reason }
            }
            away => Step::Wait(format!("{away} agents are on their way")),
        };
    }
    let agents = first_of(rollout, members, strays, goal, usize::MAX);
    match agents.is_empty() {
        true => {
            Step::Wait(format!("{left} agents are of another version, as many as may be are on their way"))
        }
        false => Step::Renew { agents, version: goal },
    }
}

/// Chooses who begins anew next: those that hold the least, no more than may be on their way.
fn first_of<'a>(
    rollout: &Rollout,
    members: &[Member],
    of: impl Iterator<Item = &'a Member>,
    goal: u64,
    most: usize,
) -> Vec<AgentId> {
    let away = members.iter().filter(|member| is_away(member, goal)).count();
    let room = (rollout.policy.batch as usize).saturating_sub(away).min(most);
    let can = |member: &&Member| {
        member.renewing != Some(goal) && matches!(member.standing, Standing::Ready | Standing::Failed)
    };
    let mut chosen: Vec<(usize, AgentId)> =
        of.filter(can).map(|member| (member.held, member.agent)).collect();
    chosen.sort_unstable();
    chosen.into_iter().take(room).map(|(_, agent)| agent).collect()
}

/// Tells whether an agent is on its way, or failed where it shall be. One whose node is gone is waited for by nobody.
fn is_away(member: &Member, goal: u64) -> bool {
    member.renewing.is_some()
        || match member.standing {
            Standing::Starting => true,
            Standing::Failed => member.version == goal,
            Standing::Ready | Standing::Draining | Standing::Offline => false,
        }
}

/// Says which agent of the new version failed, if one did.
fn failed_of(rollout: &Rollout, members: &[Member]) -> Option<String> {
    let failed = |member: &&Member| {
        member.version == rollout.to.number
            && member.standing == Standing::Failed
            && member.renewing.is_none()
    };
    members.iter().find(failed).map(|member| format!("{} of the new version failed", member.agent))
}

/// Returns what ended in the hands of the old version and of the new one.
pub fn tallies(rollout: &Rollout, members: &[Member]) -> (Tally, Tally) {
    let (mut old, mut new) = (rollout.old, rollout.new);
    for member in members {
        if member.version == rollout.to.number {
            new.add(member.tally);
        } else if member.version == rollout.from.number {
            old.add(member.tally);
        }
    }
    (old, new)
}

/// Says that the new version fails too often, as soon as nothing that is still awaited could make up for it.
fn too_bad(canary: &Canary, old: Tally, new: Tally) -> Option<String> {
    let judged = u128::from(new.ended().max(canary.tasks_min));
    let (failed, excess) = (u128::from(new.failed), u128::from(canary.excess_percent));
    let old_ended = u128::from(old.ended().max(1));
    // failed / judged > old.failed / old_ended + excess / 100, without fractions
    let is_bad = failed * 100 * old_ended > (u128::from(old.failed) * 100 + excess * old_ended) * judged;
    let percent = |tally: Tally| tally.failed.saturating_mul(100) / tally.ended().max(1);
    is_bad.then(|| {
        format!(
            "of {} attempts of the new version {} failed ({} %); of the old version {} %",
            new.ended(),
            new.failed,
            percent(new),
            percent(old),
        )
    })
}

#[cfg(test)]
mod tests;
