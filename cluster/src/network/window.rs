//! How much may be on its way to one member, and what the member has said of it: rules apart from everything.
//!
//! ```text
//!   has ──── on its way, in order ────► sent        (next: what comes after `sent`, while there is room)
//! ```
//!
//! Promises that the answers are taken in the order in which the batches left, so that what the member has never goes
//! beyond what it has answered for, and that the bounds hold whatever is sent.

use std::collections::VecDeque;

use crate::group::LogId;

/// Batches on their way to one member at once. At a round trip of some milliseconds and a sync of one, four keep the
/// line and the other disk busy; each of them may wait in the core of the other while it syncs.
pub(crate) const BATCHES_MAX: usize = 4;

/// Bytes that may be on their way to one member before another batch leaves; the last one may pass it by its own size. It
/// is what one message of openraft's may hold, so a sign of life behind them waits no longer for the line than it did for
/// one of those.
pub(super) const BYTES_MAX: usize = 2 << 20;

/// Bytes of entries in one batch; an entry that is larger is sent alone. As many as fit [`BYTES_MAX`] together.
pub(super) const BATCH_BYTES_MAX: usize = BYTES_MAX / BATCHES_MAX;

/// What was sent to a member, and through where it said that it has it.
#[derive(Debug)]
pub(super) struct Window {
    batches_max: usize,
    has: LogId,
    sent: LogId,
    /// The last entry and the size of each, the oldest first.
    on_the_way: VecDeque<(LogId, usize)>,
    bytes: usize,
}

impl Window {
    /// Begins behind what a member has.
    pub(super) fn behind(has: LogId, batches_max: usize) -> Self {
        Self { batches_max, has, sent: has, on_the_way: VecDeque::new(), bytes: 0 }
    }

    /// Returns the last entry that was sent.
    pub(super) fn sent(&self) -> LogId {
        self.sent
    }

    /// Tells whether another batch may leave.
    pub(super) fn has_room(&self) -> bool {
        self.on_the_way.len() < self.batches_max && self.bytes < BYTES_MAX
    }

    /// Notes that a batch leaves, whose last entry this is.
    pub(super) fn sends(&mut self, last: LogId, bytes: usize) {
        self.sent = last;
        self.bytes += bytes;
        self.on_the_way.push_back((last, bytes));
    }

    /// Notes that the member has the oldest batch on its way, and returns through where it has the log now.
    pub(super) fn answered(&mut self) -> LogId {
        if let Some((last, bytes)) = self.on_the_way.pop_front() {
            self.has = last;
            self.bytes -= bytes;
        }
        self.has
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;
    use proptest::prelude::*;

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(1, 1), index)
    }

    proptest! {
        #[test]
        fn what_a_member_has_is_what_it_has_answered_for_and_the_bounds_hold(
            batches_max in 1_usize..6,
            from in 0_u64..100,
            // How many entries and bytes a batch has; none is an answer.
            steps in proptest::collection::vec(proptest::option::of((1_u64..5, 1_usize..BYTES_MAX)), 0..200),
        ) {
            let mut window = Window::behind(id(from), batches_max);
            let (mut left, mut answers, mut largest) = (Vec::new(), 0, 0);
            for step in steps {
                match step {
                    Some((entries, bytes)) if window.has_room() => {
                        let last = id(window.sent().index + entries);
                        window.sends(last, bytes);
                        left.push((last, bytes));
                        largest = largest.max(bytes);
                    }
                    // Nothing is sent without room; nobody answers what was not sent.
                    Some(_) => continue,
                    None if answers == left.len() => prop_assert_eq!(window.answered(), window.sent()),
                    None => {
                        prop_assert_eq!(window.answered(), left[answers].0);
                        answers += 1;
                    }
                }
                let open = &left[answers..];
                prop_assert!(open.len() <= batches_max);
                let bytes: usize = open.iter().map(|(_, bytes)| bytes).sum();
                prop_assert!(bytes < BYTES_MAX + largest);
                prop_assert_eq!(window.has_room(), open.len() < batches_max && bytes < BYTES_MAX);
                prop_assert!(window.has <= window.sent());
            }
        }
    }
}
