//! What a worker has in its hands, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Tally;

/// The attempts in hand.
#[derive(Debug, Default)]
pub(super) struct Hands(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By task; a worker has at most one valid attempt at it.
    attempts: BTreeMap<String, Held>,
    tally: Tally,
    giving_back: bool,
}

#[derive(Debug)]
struct Held {
    attempt: u32,
    stop: CancellationToken,
}

/// How an attempt left the hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Completed,
    Failed,
    Lost,
    Released,
}

impl Hands {
    /// Takes an attempt in hand. An older one at the same task has lost its lease, and is stopped.
    pub(super) fn take(&self, task: &str, attempt: u32, stop: CancellationToken) {
        let mut inner = self.0.lock();
        if inner.giving_back {
            stop.cancel();
        }
        if let Some(older) = inner.attempts.insert(task.to_owned(), Held { attempt, stop }) {
            older.stop.cancel();
        }
    }

    /// Lets go of an attempt.
    pub(super) fn let_go(&self, task: &str, attempt: u32, left: Left) {
        let mut inner = self.0.lock();
        if inner.attempts.get(task).is_some_and(|held| held.attempt == attempt) {
            inner.attempts.remove(task);
        }
        let count = match left {
            Left::Completed => &mut inner.tally.completed,
            Left::Failed => &mut inner.tally.failed,
            Left::Lost => &mut inner.tally.lost,
            Left::Released => &mut inner.tally.released,
        };
        *count += 1;
    }

    /// Returns the attempts in hand.
    pub(super) fn held(&self) -> BTreeSet<(String, u32)> {
        let inner = self.0.lock();
        inner.attempts.iter().map(|(task, held)| (task.clone(), held.attempt)).collect()
    }

    /// Stops those of `asked` that the node does not count as held: their leases are lost. What came in hand
    /// after the question is not among them.
    pub(super) fn drop_all_but(&self, counted: &[String], asked: &BTreeSet<(String, u32)>) {
        let inner = self.0.lock();
        for (task, attempt) in asked.iter().filter(|(task, _)| !counted.contains(task)) {
            if let Some(held) = inner.attempts.get(task).filter(|held| held.attempt == *attempt) {
                tracing::info!(task, attempt, "the lease is lost");
                held.stop.cancel();
            }
        }
    }

    /// Stops everything, to be given back.
    pub(super) fn give_back_all(&self) {
        let mut inner = self.0.lock();
        inner.giving_back = true;
        for held in inner.attempts.values() {
            held.stop.cancel();
        }
    }

    /// Tells whether what is stopped is to be given back.
    pub(super) fn is_giving_back(&self) -> bool {
        self.0.lock().giving_back
    }

    /// Returns what became of all that was in hand.
    pub(super) fn tally(&self) -> Tally {
        self.0.lock().tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(hands: &Hands, task: &str, attempt: u32) -> CancellationToken {
        let stop = CancellationToken::new();
        hands.take(task, attempt, stop.clone());
        stop
    }

    #[test]
    fn what_the_node_does_not_count_is_stopped_but_not_what_came_after_the_question() {
        let hands = Hands::default();
        let (kept, lost) = (take(&hands, "a", 1), take(&hands, "b", 1));
        let asked = hands.held();
        let later = take(&hands, "c", 1);
        hands.drop_all_but(&["a".to_owned()], &asked);
        assert_eq!([&kept, &lost, &later].map(|stop| stop.is_cancelled()), [false, true, false]);
    }

    #[test]
    fn a_new_attempt_at_a_task_stops_the_old_one_and_outlives_its_end() {
        let hands = Hands::default();
        let old = take(&hands, "a", 1);
        let new = take(&hands, "a", 2);
        assert!(old.is_cancelled() && !new.is_cancelled());
        hands.let_go("a", 1, Left::Lost);
        assert_eq!(hands.held(), [("a".to_owned(), 2)].into());
        hands.let_go("a", 2, Left::Completed);
        assert_eq!(hands.tally(), Tally { completed: 1, lost: 1, ..Tally::default() });
    }

    #[test]
    fn everything_is_stopped_when_it_is_given_back_and_so_is_what_comes_later() {
        let hands = Hands::default();
        let early = take(&hands, "a", 1);
        hands.give_back_all();
        let late = take(&hands, "b", 1);
        assert!(early.is_cancelled() && late.is_cancelled() && hands.is_giving_back());
    }
}
