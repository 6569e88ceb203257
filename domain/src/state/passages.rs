//! What is remembered of tasks that went to other regions and of those that came from them.
//!
//! Pointers say where a task is that was forwarded from here. Arrivals make a task that another region offers again,
//! because the answer was lost, the one that was taken before, however long ago it ended. Both are forgotten after
//! [`PASSAGE_LIFE`], or as the oldest of more than [`PASSAGES_MAX`]. Cost: O(log n).

use std::collections::{BTreeMap, BTreeSet};

use crate::id::TaskId;
use crate::region::{Arrival, PASSAGE_LIFE, PASSAGES_MAX, Pointer};
use crate::row::RowKey;
use crate::state::State;
use crate::time::Timestamp;

/// How many of each kind one entry forgets at most, so that no entry pays for a whole day of them.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Facts about tasks, and in which order they are forgotten.
#[derive(Debug)]
pub(super) struct Passages<P> {
    of_task: BTreeMap<TaskId, P>,
    by_age: BTreeSet<(Timestamp, TaskId)>,
}

impl<P> Default for Passages<P> {
    fn default() -> Self {
        Self { of_task: BTreeMap::new(), by_age: BTreeSet::new() }
    }
}

impl<P> Passages<P> {
    /// Remembers something of a task of which nothing is remembered.
    pub(super) fn insert(&mut self, task: TaskId, at: Timestamp, passage: P) {
        self.by_age.insert((at, task));
        self.of_task.insert(task, passage);
    }

    pub(super) fn get(&self, task: TaskId) -> Option<&P> {
        self.of_task.get(&task)
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.of_task.keys().copied()
    }

    /// Walks them below a task, the latest first; from the top without one.
    fn below(&self, before: Option<TaskId>) -> impl Iterator<Item = (TaskId, &P)> {
        let end = before.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = self.of_task.range((std::ops::Bound::Unbounded, end)).rev();
        range.map(|(task, passage)| (*task, passage))
    }

    /// Forgets the oldest one that is older than `time`, or any when they are more than `most`.
    fn forget_one(&mut self, time: Timestamp, most: usize) -> Option<TaskId> {
        let (at, task) = *self.by_age.first()?;
        if at >= time && self.of_task.len() <= most {
            return None;
        }
        self.by_age.remove(&(at, task));
        self.of_task.remove(&task);
        Some(task)
    }
}

impl State {
    /// Forgets what is older than the limit, and the oldest of what is too much.
    pub(super) fn forget_passages(&mut self, now: Timestamp) {
        let life = u64::try_from(PASSAGE_LIFE.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(life));
        for _ in 0..FORGOTTEN_AT_ONCE {
            let pointer = self.pointers.forget_one(before, PASSAGES_MAX);
            let arrival = self.arrivals.forget_one(before, PASSAGES_MAX);
            if pointer.is_none() && arrival.is_none() {
                return;
            }
            let rows = pointer.map(RowKey::Pointer).into_iter().chain(arrival.map(RowKey::Arrival));
            rows.for_each(|row| self.changes.touch(row));
        }
    }

    /// Returns where a task is that was forwarded from here.
    pub fn pointer(&self, task: TaskId) -> Option<&Pointer> {
        self.pointers.get(task)
    }

    /// Walks the pointers below an id, the latest first.
    pub fn pointers_below(&self, before: Option<TaskId>) -> impl Iterator<Item = (TaskId, &Pointer)> {
        self.pointers.below(before)
    }

    /// Returns what is known of a task that another region offered and that was taken here.
    pub fn arrival(&self, task: TaskId) -> Option<&Arrival> {
        self.arrivals.get(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first_by_age_and_by_number() {
        let mut passages = Passages::default();
        for number in 1..=5_u8 {
            let at = Timestamp::from_millis(u64::from(10 - number));
            passages.insert(TaskId::from_raw(u128::from(number)), at, number);
        }
        let old = Timestamp::from_millis(7);
        assert_eq!(passages.forget_one(old, 10), Some(TaskId::from_raw(5)));
        assert_eq!(passages.forget_one(old, 10), Some(TaskId::from_raw(4)));
        assert_eq!(passages.forget_one(old, 10), None);
        assert_eq!(passages.forget_one(old, 2), Some(TaskId::from_raw(3)));
        assert_eq!(passages.forget_one(old, 2), None);
        assert_eq!(passages.tasks().collect::<Vec<_>>(), [1, 2].map(TaskId::from_raw));
    }
}
