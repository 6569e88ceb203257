//! The waiting tasks of one lane, workspace and demand.
//!
//! Most tasks have no deadline and entered the lane in the order of their sequence. These form the orderly
//! part, where the next to be taken is also the one that waits longest: its head stands for all of it in the
//! lane's ageing index, which halves the memory of a task and keeps a claim away from cold memory. Whatever
//! does not fit (a deadline, redelivered work, risen work) is kept apart and indexed task by task.
//!
//! Which part a task is in depends on the order of insertion; which task comes first does not.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::id::TaskId;
use crate::time::Timestamp;

/// The place of a task in its queue, and since when it is in its lane.
///
/// Only deadline and sequence take part in comparisons. The time rides along in the key because next to the
/// 16-aligned id in the value it would cost twice its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Milliseconds; the end of time for tasks without deadline.
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    pub(super) lane_since: Timestamp,
}

impl Order {
    pub(super) fn new(deadline: Option<Timestamp>, sequence: u64, lane_since: Timestamp) -> Self {
        Self { deadline: deadline.map_or(u64::MAX, Timestamp::as_millis), sequence, lane_since }
    }
}

/// A place among tasks without deadline; the time takes no part in comparisons.
#[derive(Debug, Clone, Copy)]
struct Place {
    sequence: u64,
    lane_since: Timestamp,
}

impl From<Order> for Place {
    fn from(order: Order) -> Self {
        Self { sequence: order.sequence, lane_since: order.lane_since }
    }
}

impl From<Place> for Order {
    fn from(place: Place) -> Self {
        Self { deadline: u64::MAX, sequence: place.sequence, lane_since: place.lane_since }
    }
}

macro_rules! ordered_by {
    ($type:ty, $key:expr) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                $key(self).cmp(&$key(other))
            }
        }
    };
}

ordered_by!(Order, |order: &Order| (order.deadline, order.sequence));
ordered_by!(Place, |place: &Place| place.sequence);

/// What the lane's ageing index must learn about a queue that has changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// No longer to be indexed.
    pub(super) out: Option<Order>,
    /// To be indexed.
    pub(super) into: Option<Order>,
}

/// Waiting tasks that differ only in deadline and sequence.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    /// No deadlines; later sequences are never longer in the lane.
    orderly: BTreeMap<Place, TaskId>,
    /// All others.
    others: BTreeMap<Order, TaskId>,
}

impl Queue {
    /// Adds a task; `None` when its place is taken.
    pub(super) fn insert(&mut self, order: Order, task: TaskId) -> Option<Change> {
        if order.deadline != u64::MAX || !self.is_orderly(order.into()) {
            let twin = self.others.insert(order, task);
            return twin.is_none().then_some(Change { out: None, into: Some(order) });
        }
        let head = self.head();
        let twin = self.orderly.insert(order.into(), task);
        let first = head.is_none_or(|head| order < head);
        let change = if first { Change { out: head, into: Some(order) } } else { Change::default() };
        twin.is_none().then_some(change)
    }

    /// Removes a task; `None` when it is not here.
    pub(super) fn remove(&mut self, order: Order) -> Option<(TaskId, Change)> {
        if let Some((found, task)) = self.others.remove_entry(&order) {
            return Some((task, Change { out: Some(found), into: None }));
        }
        if order.deadline != u64::MAX {
            return None;
        }
        let head = self.head();
        let (found, task) = self.orderly.remove_entry(&order.into())?;
        let was_head = head == Some(found.into());
        let change = if was_head { Change { out: head, into: self.head() } } else { Change::default() };
        Some((task, change))
    }

    /// Returns the next task.
    pub(super) fn first(&self) -> Option<(Order, TaskId)> {
        let orderly = self.orderly.first_key_value().map(|(place, task)| (Order::from(*place), *task));
        let other = self.others.first_key_value().map(|(order, task)| (*order, *task));
        [orderly, other].into_iter().flatten().min_by_key(|(order, _)| *order)
    }

    pub(super) fn len(&self) -> usize {
        self.orderly.len() + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orderly.is_empty() && self.others.is_empty()
    }

    /// Counts the tasks before a place; O(n).
    pub(super) fn before(&self, order: Order) -> usize {
        let orderly = match order.deadline {
            u64::MAX => self.orderly.range(..Place::from(order)).count(),
            _ => 0,
        };
        orderly + self.others.range(..order).count()
    }

    fn head(&self) -> Option<Order> {
        self.orderly.first_key_value().map(|(place, _)| Order::from(*place))
    }

    /// Tells whether a task without deadline would stand between neighbours that are in the lane no shorter
    /// before it and no longer after it.
    fn is_orderly(&self, place: Place) -> bool {
        // Nearly every task comes last; that needs one look.
        if let Some((last, _)) = self.orderly.last_key_value()
            && *last < place
        {
            return last.lane_since <= place.lane_since;
        }
        let before = self.orderly.range(..place).next_back();
        let after = self.orderly.range(place..).next();
        before.is_none_or(|(before, _)| before.lane_since <= place.lane_since)
            && after.is_none_or(|(after, _)| place.lane_since <= after.lane_since)
    }
}
