//! What this node has heard of leaders, and what it may therefore say to candidates.
//!
//! Written by whoever takes messages in, read by elections and by those who tell how old a read is. Promises that
//! a message of a deposed leader counts for nothing, as far as this node knows of a newer one, and that a start
//! counts as a word: a node that has just begun has not yet missed anybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::Vote;
use parking_lot::Mutex;
use synod_domain::sources::Entropy;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::ClusterClock;
use crate::consensus::Timing;
use crate::forgetting::Memory;
use crate::sending::Sending;

/// What every part of agreement on this node shares.
pub(crate) struct Here {
    /// This node's number.
    pub(crate) number: u64,
    pub(crate) timing: Timing,
    pub(crate) clock: Arc<ClusterClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) hearing: Hearing,
    /// Whether this node leads and a quorum follows it: the term.
    pub(crate) leading: watch::Sender<Option<u64>>,
    /// When the pulses were sent that each member answered last, while this node leads.
    pub(crate) answered: Mutex<BTreeMap<u64, Instant>>,
    /// The term in which this node campaigns because the leader wished it; 0 for none.
    pub(crate) appointed: AtomicU64,
    /// Whether this node is about to go, and leads only if there is nobody else.
    pub(crate) retires: watch::Sender<bool>,
    /// What members said they have, while this node leads.
    pub(crate) memory: Memory,
    /// Through where this node has lost what it had acknowledged, once it was told so.
    pub(crate) forgot: watch::Sender<Option<u64>>,
    /// Who takes a snapshot of this node.
    pub(crate) sending: Arc<Sending>,
}

impl Here {
    /// Tells whether a candidate may be listened to: no leader has been heard for the least timeout, and none is
    /// here.
    pub(crate) fn misses_a_leader(&self) -> bool {
        self.leading.borrow().is_none() && self.hearing.silence() >= self.timing.election.0
    }

    /// Tells whether a campaign in that term is at the leader's wish.
    pub(crate) fn is_appointed(&self, term: u64) -> bool {
        self.appointed.load(Ordering::Acquire) == term
    }

    /// Tells whether a member answers this leader.
    pub(crate) fn answers(&self, number: u64) -> bool {
        let answered = self.answered.lock();
        answered.get(&number).is_some_and(|at| at.elapsed() < self.timing.election.0)
    }

    /// Draws a duration of at least the first and less than the second.
    pub(crate) fn draw(&self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX).max(1);
        from + Duration::from_micros(self.entropy.draw() % span)
    }
}

/// Keeps the last word of a leader.
pub(crate) struct Hearing {
    inner: Mutex<Inner>,
    /// The vote of whom was heard last; it changes only with the leader.
    leader: watch::Sender<Option<Vote<u64>>>,
}

struct Inner {
    started: Instant,
    last: Option<(Vote<u64>, Instant)>,
    /// When this node last gave its vote, or asked for others'.
    yielded: Instant,
}

impl Default for Hearing {
    fn default() -> Self {
        let now = Instant::now();
        let inner = Inner { started: now, last: None, yielded: now };
        Self { inner: Mutex::new(inner), leader: watch::Sender::new(None) }
    }
}

impl Hearing {
    /// Counts the start from now: before, nobody could have been heard.
    pub(crate) fn begin(&self) {
        let mut inner = self.inner.lock();
        inner.started = Instant::now();
        inner.yielded = inner.started;
    }

    /// Notes a word of the leader with that vote, unless a newer leader was heard before.
    pub(crate) fn note(&self, vote: Vote<u64>) -> bool {
        let mut inner = self.inner.lock();
        let old = inner.last.is_some_and(|(known, _)| known.leader_id.term > vote.leader_id.term);
        if !vote.committed || old {
            return false;
        }
        inner.last = Some((vote, Instant::now()));
        drop(inner);
        self.leader.send_if_modified(|leader| leader.replace(vote) != Some(vote));
        true
    }

    /// Counts nobody as heard any more; the next word is news.
    pub(crate) fn forget(&self) {
        self.leader.send_if_modified(|leader| leader.take().is_some());
    }

    /// Gives a candidate time, this node or another.
    pub(crate) fn give_way(&self) {
        self.inner.lock().yielded = Instant::now();
    }

    /// Returns when a leader was heard last, if ever.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.inner.lock().last.map(|(_, at)| at)
    }

    /// Returns how long no leader has been heard, counted from the start at most.
    pub(crate) fn silence(&self) -> Duration {
        let inner = self.inner.lock();
        inner.last.map_or(inner.started, |(_, at)| at).elapsed()
    }

    /// Returns since when nothing has happened that a campaign should wait for.
    pub(crate) fn calm_since(&self) -> Instant {
        let inner = self.inner.lock();
        inner.last.map_or(inner.started, |(_, at)| at).max(inner.yielded)
    }

    /// Follows who is heard.
    pub(crate) fn leader(&self) -> watch::Receiver<Option<Vote<u64>>> {
        self.leader.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_node_that_begins_to_listen_late_has_missed_nobody() {
        let hearing = Hearing::default();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(hearing.silence(), Duration::from_secs(5));
        hearing.begin();
        assert_eq!(hearing.silence(), Duration::ZERO);
        assert_eq!(hearing.calm_since(), Instant::now());
    }
}
