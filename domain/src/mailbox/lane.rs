//! One lane: queues by workspace and demand, the turns of its workspaces, and who has waited longest.
//!
//! The turns are the active list of deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with a cost of
//! one a task. The first workspace in the list that has matching work serves; when its weight is used up it
//! goes to the end. One that is passed over keeps its place, so each take that passes it over brings it
//! nearer to the front or uses up a bounded turn of somebody ahead: it cannot starve.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::TaskId;
use crate::task::Lane;
use crate::time::Timestamp;

use super::queue::{Change, Order, Queue};
use super::slots::Reach;

/// A waiting task, with slots in place of its workspace and demand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) order: Order,
    pub(super) task: TaskId,
    pub(super) workspace: u32,
    pub(super) demand: u32,
}

/// The tasks of one workspace in the lane.
#[derive(Debug, Clone)]
struct Shelf {
    /// Its place in the turns.
    place: u64,
    /// What is left of its turn; 0 before it begins.
    left: u32,
    /// By demand; never an empty queue.
    queues: BTreeMap<u32, Queue>,
}

/// Where to find the task that entered the lane at some time.
#[derive(Debug, Clone)]
struct Arrival {
    deadline: u64,
    workspace: u32,
    demand: u32,
}

/// The ageing index: tasks by the time they entered the lane, then by sequence.
///
/// Not all of them: see [`super::queue`]. The one that has been here longest is always among them.
type Arrivals = BTreeMap<(Timestamp, u64), Arrival>;

/// The waiting tasks of one lane.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    depth: usize,
    /// By workspace; never an empty shelf.
    shelves: BTreeMap<u32, Shelf>,
    /// The workspaces in the order of their turns.
    turns: BTreeMap<u64, u32>,
    /// `None` where nothing rises.
    arrivals: Option<Arrivals>,
}

impl Queues {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            depth: 0,
            shelves: BTreeMap::new(),
            turns: BTreeMap::new(),
            arrivals: lane.above().map(|_| BTreeMap::new()),
        }
    }

    pub(super) fn insert(&mut self, item: &Item) {
        let turns = &mut self.turns;
        let shelf = self.shelves.entry(item.workspace).or_insert_with(|| Shelf {
            place: append(turns, item.workspace),
            left: 0,
            queues: BTreeMap::new(),
        });
        let inserted = shelf.queues.entry(item.demand).or_default().insert(item.order, item.task);
        debug_assert!(inserted.is_some(), "two waiting tasks have the sequence {}", item.order.sequence);
        let Some(change) = inserted else { return };
        self.depth += 1;
        self.note(change, item.workspace, item.demand);
    }

    pub(super) fn remove(&mut self, order: Order, workspace: u32, demand: u32) -> Option<TaskId> {
        let shelf = self.shelves.get_mut(&workspace)?;
        let queue = shelf.queues.get_mut(&demand)?;
        let (task, change) = queue.remove(order)?;
        if queue.is_empty() {
            shelf.queues.remove(&demand);
        }
        if shelf.queues.is_empty() {
            let place = shelf.place;
            self.shelves.remove(&workspace);
            self.turns.remove(&place);
        }
        self.depth -= 1;
        self.note(change, workspace, demand);
        Some(task)
    }

    /// Brings the ageing index up to date with a queue.
    fn note(&mut self, change: Change, workspace: u32, demand: u32) {
        let Some(arrivals) = &mut self.arrivals else { return };
        if let Some(out) = change.out {
            arrivals.remove(&(out.lane_since, out.sequence));
        }
        if let Some(Order { deadline, sequence, lane_since }) = change.into {
            arrivals.insert((lane_since, sequence), Arrival { deadline, workspace, demand });
        }
    }

    /// Returns the task whose turn it is among those in reach. A paused workspace is passed over like one whose
    /// work nobody here can do, so it keeps its place.
    pub(super) fn first(&self, reach: &Reach, is_paused: impl Fn(u32) -> bool) -> Option<Item> {
        let mut giving = self.turns.values().filter(|workspace| !is_paused(**workspace));
        giving.find_map(|workspace| {
            let queues = self.shelves.get(workspace)?.queues.iter();
            let heads = queues.filter(|(demand, _)| reach.holds(**demand)).filter_map(|(demand, queue)| {
                let (order, task) = queue.first()?;
                Some(Item { order, task, workspace: *workspace, demand: *demand })
            });
            heads.min_by_key(|item| item.order)
        })
    }

    /// Uses one task of a workspace's turn; the last sends it to the end of the turns.
    pub(super) fn use_turn(&mut self, workspace: u32, weight: u32) {
        // No shelf: that was its last task, and the turn went with it.
        let Some(shelf) = self.shelves.get_mut(&workspace) else { return };
        let turn = if shelf.left == 0 { weight } else { shelf.left.min(weight) };
        shelf.left = turn - 1;
        if shelf.left == 0 {
            self.turns.remove(&shelf.place);
            shelf.place = append(&mut self.turns, workspace);
        }
    }

    /// Removes the task that has been here longest, if that is for `ageing` or longer.
    pub(super) fn pop_due(&mut self, now: Timestamp, ageing: Duration) -> Option<Item> {
        let ((lane_since, sequence), arrival) = self.arrivals.as_ref()?.first_key_value()?;
        if lane_since.after(ageing) > now {
            return None;
        }
        let order = Order { deadline: arrival.deadline, sequence: *sequence, lane_since: *lane_since };
        let (workspace, demand) = (arrival.workspace, arrival.demand);
        let task = self.remove(order, workspace, demand)?;
        Some(Item { order, task, workspace, demand })
    }

    /// Returns since when the task that has been here longest is here; none in the top lane.
    pub(super) fn longest_in_lane(&self) -> Option<Timestamp> {
        self.arrivals.as_ref()?.first_key_value().map(|((since, _), _)| *since)
    }

    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Returns how many tasks come before the given one at most: those of its own workspace that precede it,
    /// and what each other workspace may take in as many turns as these need.
    /// Paused workspaces take none.
    pub(super) fn ahead_of(
        &self,
        order: Order,
        workspace: u32,
        weight_of: impl Fn(u32) -> usize,
        is_paused: impl Fn(u32) -> bool,
    ) -> usize {
        let Some(shelf) = self.shelves.get(&workspace) else { return 0 };
        let own: usize = shelf.queues.values().map(|queue| queue.before(order)).sum();
        // One turn may be partly used already.
        let rounds = own / weight_of(workspace) + 2;
        let others = self.shelves.iter().filter(|(other, _)| **other != workspace && !is_paused(**other));
        let others = others.map(|(other, shelf)| {
            let depth: usize = shelf.queues.values().map(Queue::len).sum();
            depth.min(rounds.saturating_mul(weight_of(*other)))
        });
        own + others.sum::<usize>()
    }

    /// Adds up the tasks of a workspace by demand.
    pub(super) fn count_demands_of(&self, workspace: u32, counts: &mut BTreeMap<u32, usize>) {
        for (demand, queue) in self.shelves.get(&workspace).into_iter().flat_map(|shelf| &shelf.queues) {
            *counts.entry(*demand).or_default() += queue.len();
        }
    }

    /// Counts the tasks of each workspace.
    #[cfg(test)]
    pub(super) fn counts(&self) -> BTreeMap<u32, usize> {
        let count = |shelf: &Shelf| shelf.queues.values().map(Queue::len).sum();
        self.shelves.iter().map(|(workspace, shelf)| (*workspace, count(shelf))).collect()
    }

    /// Walks the workspaces in the order of their turns, with what is left of each.
    pub(super) fn turns(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.turns.values().map(|slot| (*slot, self.shelves.get(slot).map_or(0, |shelf| shelf.left)))
    }

    /// Orders the turns anew; the first mention of a workspace counts, those without work are ignored.
    pub(super) fn set_turns(&mut self, turns: impl Iterator<Item = (u32, u32)>) {
        self.turns.clear();
        for (workspace, left) in turns {
            let Some(shelf) = self.shelves.get_mut(&workspace) else { continue };
            if self.turns.get(&shelf.place) != Some(&workspace) {
                shelf.place = append(&mut self.turns, workspace);
                shelf.left = left;
            }
        }
    }
}

/// Puts a workspace at the end of the turns and returns its place. Places never run out: a lane that serves a
/// billion turns a second uses them up in centuries, and an empty one begins again.
fn append(turns: &mut BTreeMap<u64, u32>, workspace: u32) -> u64 {
    let place = turns.last_key_value().map_or(0, |(last, _)| last + 1);
    turns.insert(place, workspace);
    place
}
