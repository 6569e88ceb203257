//! Agents that failed for good on a node that is there, and how often a pool takes others for them.
//!
//! What becomes of them is said by the pool's [`Recovery`](crate::spread::Recovery). Promises of [`Replacing`]: a pool
//! whose every agent fails at once takes no more new ones than its restarts allow, and from then on one after longer
//! and longer waits, until it was quiet for long. Left to others: the agents themselves, and trying again the one that
//! is not replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::Timestamp;

/// The wait before a replacement behind those that happen at once; doubled with each further one up to [`WAIT_MAX`].
pub const WAIT_FIRST: Duration = Duration::from_secs(60);

/// The longest wait before a replacement, and how long a node gets no more agents of a pool after one of them failed
/// there for good. A cause that lies in the program is met once in such a time.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// How long no agent of a pool may fail for good until its replacements are counted anew: twice the longest wait, so
/// that a pool that goes on failing is not taken for one that was quiet.
pub const QUIET: Duration = Duration::from_secs(2 * 3600);

/// That an agent failed for good where it is: its restarts are used up. Over when it serves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Since when.
    pub since: Timestamp,
}

/// What is remembered of a pool that takes new agents for those that failed for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacing {
    /// How many were replaced without a quiet time between them.
    pub row: u32,
    /// When one failed for good last.
    pub last: Timestamp,
    /// When the next may be replaced.
    pub next: Timestamp,
    /// The nodes that get no more agents of the pool, and until when.
    pub shunned: BTreeMap<NodeId, Timestamp>,
}

impl Replacing {
    /// Decides whether another one is taken for an agent that failed for good, and notes that. `at_once` is how many
    /// may be replaced before waits begin; it counts as at least one.
    pub fn decide(&mut self, at_once: u32, now: Timestamp) -> bool {
        if now.since(self.last) > QUIET {
            (self.row, self.next) = (0, Timestamp::ZERO);
        }
        self.last = now;
        self.shunned.retain(|_, until| *until > now);
        if now < self.next {
            return false;
        }
        self.row = self.row.saturating_add(1);
        if let Some(doublings) = self.row.checked_sub(at_once.max(1)) {
            let factor = 2_u32.saturating_pow(doublings);
            self.next = now.after(WAIT_FIRST.saturating_mul(factor).min(WAIT_MAX));
        }
        true
    }

    /// Lets a node have no more agents of the pool for a while.
    pub fn shun(&mut self, node: NodeId, now: Timestamp) {
        self.shunned.insert(node, now.after(WAIT_MAX));
    }

    /// Tells whether a node gets no more agents of the pool.
    pub fn shuns(&self, node: NodeId, now: Timestamp) -> bool {
        self.shunned.get(&node).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + seconds * 1000)
    }

    #[test]
    fn some_are_replaced_at_once_then_one_after_longer_and_longer_waits() {
        let mut replacing = Replacing::default();
        // One fails each second.
        let replaced: Vec<u64> = (0..20_000).filter(|second| replacing.decide(3, at(*second))).collect();
        assert_eq!(replaced, [0, 1, 2, 62, 182, 422, 902, 1862, 3782, 7382, 10982, 14582, 18182]);
    }

    #[test]
    fn a_pool_that_was_quiet_is_replaced_at_once_again() {
        let mut replacing = Replacing::default();
        assert!(replacing.decide(0, at(0)) && !replacing.decide(0, at(59)));
        assert!(replacing.decide(0, at(60)) && !replacing.decide(0, at(60)));
        let quiet = 61 + QUIET.as_secs();
        assert!(replacing.decide(0, at(quiet)) && !replacing.decide(0, at(quiet + 59)));
        assert!(replacing.decide(0, at(quiet + 60)));
    }

    proptest! {
        #[test]
        fn however_often_agents_fail_replacements_are_few(
            waits in prop::collection::vec(0_u64..7000, 1..200), at_once in 0_u32..6,
        ) {
            let (mut replacing, mut now, mut replaced) = (Replacing::default(), 0, Vec::new());
            for wait in waits {
                now += wait;
                if replacing.decide(at_once, at(now)) {
                    replaced.push(now);
                }
                replacing.shun(NodeId::from_raw(u128::from(now % 3)), at(now));
                prop_assert!(replacing.shunned.len() <= 3);
            }
            // Seven doublings lie between the first wait and the longest, behind which there is one in an hour.
            let most = now / WAIT_MAX.as_secs() + 7 + u64::from(at_once.max(1));
            prop_assert!(replaced.len() as u64 <= most, "{replaced:?} of {now} s");
        }
    }
}
