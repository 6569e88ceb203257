//! Quotas: what a workspace may have at most.
//!
//! A quota belongs to one workspace and says nothing of others; what it leaves out has the bounds of the node alone. What
//! is more is refused when it is asked for, but for work in hand: a task beyond the quota waits in its place, and may go
//! when another of its workspace has ended.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The most submits in a second that a quota may allow; a node takes fewer.
pub const SUBMITS_MAX: u32 = 1_000_000;

/// In how short a time the submits of a second may come at once.
const BURST: Duration = Duration::from_secs(1);

/// What a workspace may have at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Agents: those that registered, and as many as its pools shall have that nodes run.
    pub agents: Option<u64>,
    /// Unfinished tasks that no agent has.
    pub waiting: Option<u64>,
    /// Submits in a second, that many at once at most.
    pub submits_per_second: Option<u32>,
    /// Bytes of payload of its unfinished tasks.
    pub storage_bytes: Option<u64>,
    /// Tasks that agents have.
    pub concurrency: Option<u64>,
}

impl Quota {
    /// Returns the field that is out of bounds, and why; `None` when all may stand.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let most = self.submits_per_second?;
        let why = || format!("it must be from 1 to {SUBMITS_MAX}");
        (most == 0 || most > SUBMITS_MAX).then(|| ("submits_per_second", why()))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agents, waiting, submits_per_second, storage_bytes, concurrency } = self;
        let bounds = [
            ("agents", *agents),
            ("waiting", *waiting),
            ("submits_per_second", submits_per_second.map(u64::from)),
            ("storage_bytes", *storage_bytes),
            ("concurrency", *concurrency),
        ];
        let mut bounds = bounds.iter().filter_map(|(of, most)| Some((of, (*most)?)));
        let Some((of, most)) = bounds.next() else { return f.write_str("none") };
        write!(f, "{of}={most}")?;
        bounds.try_for_each(|(of, most)| write!(f, " {of}={most}"))
    }
}

/// What a quota is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum QuotaOf {
    /// Agents.
    Agents,
    /// Unfinished tasks that no agent has.
    Waiting,
    /// Submits in a second.
    Submits,
    /// Bytes of payload.
    Storage,
}

impl QuotaOf {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Waiting => "waiting tasks",
            Self::Submits => "submits per second",
            Self::Storage => "bytes of payload",
        }
    }
}

impl fmt::Display for QuotaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// When the next submit of a workspace is due if they come evenly, in microseconds: one number, however many came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace(u64);

impl Pace {
    /// Returns the pace after one more submit; `None` when that comes too early.
    pub fn take(self, per_second: u32, now: Timestamp) -> Option<Self> {
        let interval = 1_000_000 / u64::from(per_second.max(1));
        let micros = now.as_millis().saturating_mul(1000);
        let burst = u64::try_from(BURST.as_micros()).unwrap_or(u64::MAX);
        let next = self.0.max(micros).saturating_add(interval);
        (next <= micros.saturating_add(burst)).then_some(Self(next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_second_of_submits_may_come_at_once_and_the_next_come_evenly() {
        let mut pace = Pace::default();
        for _ in 0..4 {
            pace = pace.take(4, at(1_000_000)).expect("within the burst");
        }
        assert_eq!(pace.take(4, at(1_000_000)), None);
        assert_eq!(pace.take(4, at(1_000_249)), None);
        assert!(pace.take(4, at(1_000_250)).is_some());
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_twice_what_is_allowed(
            per_second in 1..50_u32,
            steps in prop::collection::vec(0..300_u64, 1..300),
        ) {
            let (mut pace, mut now, mut taken) = (Pace::default(), 1_000_000, Vec::new());
            for step in steps {
                now += step;
                if let Some(next) = pace.take(per_second, at(now)) {
                    pace = next;
                    taken.push(now);
                }
            }
            for begin in &taken {
                let within = taken.iter().filter(|one| *one >= begin && **one < begin + 1000).count();
                // Those of the burst, and those that come evenly after it.
                prop_assert!(within as u64 <= 2 * u64::from(per_second), "{} in a second", within);
            }
        }
    }
}
