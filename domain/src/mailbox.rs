//! The waiting tasks of one mailbox, in the order in which they are taken.
//!
//! ```text
//! lane              critical, high, normal, low: strictly in this order
//!  └─ workspace     weighted turns (deficit round robin; every task costs one)
//!      └─ deadline  earliest first, none last
//!          └─ sequence   first submitted first
//! ```
//!
//! A claim takes the first task in this order that its agent can do. A task that has waited long enough in
//! its lane rises to the next ([`Mailbox::rise`]), so that low work always progresses.
//!
//! Promises: no operation costs more than O(log n) in the backlog, times the workspaces and distinct demands
//! that must be passed over; the same calls give the same answers on every replica; and a mailbox rebuilt from
//! its waiting tasks in any order, with the same [turns](Mailbox::turns), goes on like the original.
//! A workspace that is [paused](Paused) is passed over and keeps its place in the turns.
//! Left to others: what a task is, leases, limits, what is paused, and persisting both the tasks and the turns.

mod lane;
#[cfg(test)]
mod laws;
mod queue;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::task::Lane;
use crate::time::Timestamp;

use lane::{Item, Queues};
use queue::Order;
use slots::{Reach, Slots};

/// How many tasks rise in one call: a backlog that came due together must not make one claim take seconds.
/// Fewer let a large backlog rise over more claims.
pub const RISE_AT_ONCE: usize = 1024;

/// The workspaces whose tasks are not given out, for whatever reason. Whoever takes from a mailbox brings them along.
pub type Paused = BTreeSet<Name>;

/// What the mailbox knows of a waiting task; all of it is rebuilt from the task itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which task.
    pub task: TaskId,
    /// Whose turn it takes.
    pub workspace: Name,
    /// What an agent must offer to take it.
    pub demand: Arc<Capabilities>,
    /// The lane it is in.
    pub lane: Lane,
    /// Its place within its workspace, before the sequence.
    pub deadline: Option<Timestamp>,
    /// Its place among submits; no two tasks of a mailbox share one.
    pub sequence: u64,
    /// Since when it is in its lane; it rises when it has been there for the ageing time.
    pub lane_since: Timestamp,
}

/// A workspace's place in the turns of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Whose turn.
    pub workspace: Name,
    /// How many more tasks it takes in this turn; 0 when the turn has not begun.
    pub left: u32,
}

/// The turns of each lane, most urgent lane first, next workspace first.
///
/// The only state of a mailbox that does not follow from the tasks that wait in it. There is one turn for
/// each workspace with waiting work, and not a single cursor for a lane: agents of different capabilities
/// would push a shared cursor past a workspace that none but the rarer of them can serve, time after time.
pub type Turns = [Vec<Turn>; 4];

/// How many tasks each workspace takes in a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weights(BTreeMap<Name, u32>);

impl Weights {
    /// Returns the weight of a workspace: 1 unless it was set, and never 0.
    pub fn of(&self, workspace: &Name) -> u32 {
        self.0.get(workspace).map_or(1, |weight| (*weight).max(1))
    }

    /// Sets the weight of a workspace; 0 counts as 1. A lower one also cuts the turn it is in.
    pub fn set(&mut self, workspace: Name, weight: u32) {
        self.0.insert(workspace, weight);
    }

    /// Walks the weights that were set, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, u32)> {
        self.0.iter().map(|(workspace, weight)| (workspace, *weight))
    }
}

impl FromIterator<(Name, u32)> for Weights {
    fn from_iter<I: IntoIterator<Item = (Name, u32)>>(weights: I) -> Self {
        Self(weights.into_iter().collect())
    }
}

/// The waiting tasks of one mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox {
    lanes: [Queues; 4],
    workspaces: Slots<Name>,
    demands: Slots<Arc<Capabilities>>,
}

impl Default for Mailbox {
    /// An empty mailbox.
    fn default() -> Self {
        Self { lanes: Lane::ALL.map(Queues::new), workspaces: Slots::default(), demands: Slots::default() }
    }
}

impl Mailbox {
    /// Adds a task. O(log n).
    ///
    /// A workspace that had no work in the lane joins the end of its turns. A second task with the same
    /// sequence is a caller's bug: a debug build may panic, a release build may lose one of the two.
    pub fn enqueue(&mut self, waiting: Waiting) {
        let item = Item {
            order: Order::new(waiting.deadline, waiting.sequence, waiting.lane_since),
            task: waiting.task,
            workspace: self.workspaces.acquire(&waiting.workspace),
            demand: self.demands.acquire(&waiting.demand),
        };
        self.queues_mut(waiting.lane).insert(&item);
    }

    /// Removes a task, found by lane, workspace, demand, deadline and sequence; tells whether it was there.
    /// O(log n).
    pub fn remove(&mut self, waiting: &Waiting) -> bool {
        let Some(workspace) = self.workspaces.find(&waiting.workspace) else { return false };
        let Some(demand) = self.demands.find(&waiting.demand) else { return false };
        let order = Order::new(waiting.deadline, waiting.sequence, waiting.lane_since);
        let removed = self.queues_mut(waiting.lane).remove(order, workspace, demand);
        if removed.is_some() {
            self.release(workspace, demand);
        }
        removed.is_some()
    }

    /// Returns the lane that the next take would come from.
    pub fn best(&self, offered: &Capabilities, paused: &Paused) -> Option<Lane> {
        self.first(offered, paused).map(|(lane, _)| lane)
    }

    /// Returns the lane and the task that the next take would give.
    pub fn next(&self, offered: &Capabilities, paused: &Paused) -> Option<(Lane, TaskId)> {
        self.first(offered, paused).map(|(lane, item)| (lane, item.task))
    }

    /// Returns the task that the next take would give.
    pub fn peek(&self, offered: &Capabilities, paused: &Paused) -> Option<TaskId> {
        self.first(offered, paused).map(|(_, item)| item.task)
    }

    /// Removes and returns the first task in order that an agent with these capabilities can do.
    ///
    /// O(d + w·d + log n) for w workspaces with work in the lane and d distinct demands; both are walked
    /// only as far as nothing matches. A paused workspace costs one look.
    pub fn take(&mut self, offered: &Capabilities, weights: &Weights, paused: &Paused) -> Option<TaskId> {
        let (lane, item) = self.first(offered, paused)?;
        let weight = weights.of(self.workspaces.get(item.workspace)?);
        if mutant(Mutant::GrantTwice) {
            return Some(item.task); // and leaves it for the next claim
        }
        let queues = self.queues_mut(lane);
        queues.remove(item.order, item.workspace, item.demand)?;
        queues.use_turn(item.workspace, weight);
        self.release(item.workspace, item.demand);
        Some(item.task)
    }

    /// Moves every task that was in its lane for `ageing` or longer one lane up, and returns these tasks with
    /// their new lanes. At most [`RISE_AT_ONCE`] in one call; the next goes on. Amortised O(log n) for each;
    /// nothing when none is due.
    ///
    /// A task keeps its sequence and is in the new lane since `now`; it moves one lane a call at most.
    pub fn rise(&mut self, now: Timestamp, ageing: Duration) -> Vec<(TaskId, Lane)> {
        let mut risen = Vec::new();
        if mutant(Mutant::NoAgeing) {
            return risen; // for ever
        }
        // From the top, so that what rises into a lane is not looked at again.
        for lane in Lane::ALL {
            let Some(above) = lane.above() else { continue };
            while risen.len() < RISE_AT_ONCE
                && let Some(mut item) = self.queues_mut(lane).pop_due(now, ageing)
            {
                item.order.lane_since = now;
                self.queues_mut(above).insert(&item);
                risen.push((item.task, above));
            }
        }
        risen
    }

    /// Returns when [`Mailbox::rise`] has something to do next, if nothing else happens. O(1) in the backlog.
    pub fn next_rise(&self, ageing: Duration) -> Option<Timestamp> {
        let firsts = self.lanes.iter().filter_map(Queues::longest_in_lane);
        firsts.min().map(|since| since.after(ageing))
    }

    /// Returns since when the task waits that has been in its lane for longest. O(1) in the backlog.
    pub fn longest_waiting(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(Queues::longest_in_lane).min()
    }

    /// Returns how many tasks wait.
    pub fn depth(&self) -> usize {
        self.lanes.iter().map(Queues::depth).sum()
    }

    /// Returns how many tasks wait in a lane.
    pub fn depth_of(&self, lane: Lane) -> usize {
        self.lanes[lane.rank()].depth()
    }

    /// Returns an upper bound of how many tasks of its lane are taken before this one, if no more arrive.
    ///
    /// It counts every demand, so an agent that cannot do all of the work may get to it sooner, and it does not
    /// count what is paused. O(n): for people who ask why a task waits, not for rules.
    pub fn ahead_of(&self, waiting: &Waiting, weights: &Weights, paused: &Paused) -> usize {
        let Some(workspace) = self.workspaces.find(&waiting.workspace) else { return 0 };
        let order = Order::new(waiting.deadline, waiting.sequence, waiting.lane_since);
        let weight_of = |slot| self.workspaces.get(slot).map_or(1, |name| weights.of(name) as usize);
        self.lanes[waiting.lane.rank()]
            .ahead_of(order, workspace, weight_of, |slot| self.is_paused(slot, paused))
    }

    /// Walks the distinct demands of waiting tasks with how many ask for each, in order; O(distinct demands).
    pub fn demands(&self) -> impl Iterator<Item = (Arc<Capabilities>, usize)> + '_ {
        self.demands.iter().map(|(demand, count)| (Arc::clone(demand), count))
    }

    /// Returns the demands of waiting tasks, with how many ask for each and could be given out at most, in order: of each
    /// of these workspaces no more than it has room for, none if it is paused.
    /// O(distinct demands), and that again for each of these workspaces.
    pub fn claimable<'a>(
        &self,
        rooms: impl IntoIterator<Item = (&'a Name, usize)>,
    ) -> Vec<(Arc<Capabilities>, usize)> {
        let mut held_back: BTreeMap<u32, usize> = BTreeMap::new();
        for (name, room) in rooms {
            let Some(workspace) = self.workspaces.find(name) else { continue };
            let mut waiting = BTreeMap::new();
            for queues in &self.lanes {
                queues.count_demands_of(workspace, &mut waiting);
            }
            for (demand, count) in waiting {
                *held_back.entry(demand).or_default() += count.saturating_sub(room);
            }
        }
        let demands = self.demands.iter().map(|(demand, count)| {
            let slot = self.demands.find(demand);
            let less = slot.and_then(|slot| held_back.get(&slot)).copied().unwrap_or(0);
            (Arc::clone(demand), count - less)
        });
        demands.filter(|(_, count)| *count > 0).collect()
    }

    /// Walks the workspaces that have work here, in order, with how many of their tasks wait.
    pub fn workspaces(&self) -> impl ExactSizeIterator<Item = (&Name, usize)> + '_ {
        self.workspaces.iter()
    }

    /// Returns how many tasks of a workspace wait.
    pub fn depth_of_workspace(&self, workspace: &Name) -> usize {
        self.workspaces.count(workspace)
    }

    /// Returns the turns, to be persisted with the tasks. O(workspaces).
    pub fn turns(&self) -> Turns {
        Lane::ALL.map(|lane| {
            let turns = self.lanes[lane.rank()].turns();
            let named = turns.filter_map(|(slot, left)| {
                self.workspaces.get(slot).map(|workspace| Turn { workspace: workspace.clone(), left })
            });
            named.collect()
        })
    }

    /// Restores the turns of a rebuilt mailbox, after its tasks. O(workspaces · log workspaces).
    ///
    /// Turns of workspaces without work are dropped; workspaces without a turn come last, in order of name.
    pub fn set_turns(&mut self, turns: &Turns) {
        for (queues, turns) in self.lanes.iter_mut().zip(turns) {
            let restored = turns.iter().map(|turn| (self.workspaces.find(&turn.workspace), turn.left));
            let rest = self.workspaces.iter().map(|(name, _)| (self.workspaces.find(name), 0));
            queues.set_turns(restored.chain(rest).filter_map(|(slot, left)| Some((slot?, left))));
        }
    }

    fn first(&self, offered: &Capabilities, paused: &Paused) -> Option<(Lane, Item)> {
        let reach = Reach::new(&self.demands, |demand| offered.satisfy(demand));
        let is_paused = |workspace| self.is_paused(workspace, paused);
        let mut order = Lane::ALL;
        if mutant(Mutant::LaneOffByOne) {
            order.rotate_left(1); // the most urgent comes last
        }
        order.into_iter().find_map(|lane| Some((lane, self.lanes[lane.rank()].first(&reach, is_paused)?)))
    }

    fn is_paused(&self, workspace: u32, paused: &Paused) -> bool {
        // Mostly nothing is, and then no name is looked at.
        !mutant(Mutant::GiveOutPaused)
            && !paused.is_empty()
            && self.workspaces.get(workspace).is_some_and(|name| paused.contains(name))
    }

    fn queues_mut(&mut self, lane: Lane) -> &mut Queues {
        &mut self.lanes[lane.rank()]
    }

    fn release(&mut self, workspace: u32, demand: u32) {
        self.workspaces.release(workspace);
        self.demands.release(demand);
    }
}
