//! What is remembered of tasks that went to other regions and of those that came from them.
//!
//! Pointers say where a task is that was forwarded from here. Arrivals make a task that another region offers again,
//! because the answer was lost, the one that was taken before, however long ago it ended, or one that is refused as it was
//! before. All are forgotten after [`PASSAGE_LIFE`], or as the oldest of more than [`PASSAGES_MAX`] of the same source.
//! Cost: O(log n), and a look at each source for each entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::TaskId;
use crate::name::Name;
use crate::region::{Arrival, Declined, PASSAGE_LIFE, PASSAGES_MAX, Pointer, Verdict};
use crate::row::RowKey;
use crate::state::State;
use crate::time::Timestamp;

/// How many of each kind one entry forgets at most, so that no entry pays for a whole day of them.
const FORGOTTEN_AT_ONCE: usize = 64;

/// A fact about a task.
pub(super) trait Passage {
    /// Returns whose it is: so many of each are remembered.
    fn source(&self) -> Option<&Name>;

    /// Returns since when it is known.
    fn at(&self) -> Timestamp;
}

impl Passage for Pointer {
    fn source(&self) -> Option<&Name> {
        None
    }

    fn at(&self) -> Timestamp {
        self.at
    }
}

impl Passage for Verdict {
    fn source(&self) -> Option<&Name> {
        Some(self.from())
    }

    fn at(&self) -> Timestamp {
        self.at()
    }
}

/// Facts about tasks, and in which order they are forgotten.
#[derive(Debug)]
pub(super) struct Passages<P> {
    of_task: BTreeMap<TaskId, P>,
    by_age: BTreeMap<Option<Name>, BTreeSet<(Timestamp, TaskId)>>,
}

impl<P> Default for Passages<P> {
    fn default() -> Self {
        Self { of_task: BTreeMap::new(), by_age: BTreeMap::new() }
    }
}

impl<P: Passage> Passages<P> {
    /// Remembers something of a task of which nothing is remembered.
    pub(super) fn insert(&mut self, task: TaskId, passage: P) {
        let source = passage.source().cloned();
        self.by_age.entry(source).or_default().insert((passage.at(), task));
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

    /// Forgets the oldest one of a source that is older than `time`, or any of a source that has more than `most`.
    fn forget_one(&mut self, time: Timestamp, most: usize) -> Option<TaskId> {
        let is_over = |ages: &BTreeSet<(Timestamp, TaskId)>| {
            ages.len() > most || ages.first().is_some_and(|(at, _)| *at < time)
        };
        let (source, ages) = self.by_age.iter_mut().find(|(_, ages)| is_over(ages))?;
        let (_, task) = ages.pop_first()?;
        if ages.is_empty() {
            let source = source.clone();
            self.by_age.remove(&source);
        }
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
        match self.arrivals.get(task)? {
            Verdict::Taken(arrival) => Some(arrival),
            Verdict::Declined(_) => None,
        }
    }

    /// Returns what is known of a task that another region offered and that was refused here.
    pub fn declined(&self, task: TaskId) -> Option<&Declined> {
        match self.arrivals.get(task)? {
            Verdict::Declined(declined) => Some(declined),
            Verdict::Taken(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(from: &str, number: u8, at: u64) -> (TaskId, Verdict) {
        let (task, from) = (TaskId::from_raw(u128::from(number)), Name::new(from).unwrap());
        (task, Verdict::Taken(Arrival { from, known_as: task, at: Timestamp::from_millis(at) }))
    }

    #[test]
    fn what_came_from_one_region_is_not_forgotten_for_what_comes_from_another() {
        let mut passages = Passages::default();
        let mut insert = |(task, verdict)| passages.insert(task, verdict);
        insert(taken("us", 1, 1));
        (2..=9).for_each(|number| insert(taken("eu", number, u64::from(number))));
        let forgotten: Vec<TaskId> = std::iter::from_fn(|| passages.forget_one(Timestamp::ZERO, 3)).collect();
        assert_eq!(
            forgotten,
            [2, 3, 4, 5, 6].map(TaskId::from_raw),
            "the oldest of the one that has too many"
        );
        let old = Timestamp::from_millis(8);
        let forgotten: BTreeSet<TaskId> = std::iter::from_fn(|| passages.forget_one(old, 3)).collect();
        assert_eq!(forgotten, [1, 7].map(TaskId::from_raw).into(), "the old ones of both");
        assert_eq!(passages.by_age.len(), 1, "a source of which nothing is known takes no room");
    }

    #[test]
    fn the_oldest_are_forgotten_first_by_age_and_by_number() {
        let mut passages = Passages::default();
        for number in 1..=5_u8 {
            let (task, verdict) = taken("us", number, u64::from(10 - number));
            passages.insert(task, verdict);
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
