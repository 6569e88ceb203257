//! Whether a child that stopped is started again, and when.
//!
//! The rule is OTP's: the kind says which exits count, and more than `intensity` restarts within `period`
//! mean that restarting does not help. The first restart is immediate, because most failures pass; each
//! further one waits twice as long as the one before, with jitter, until a whole period was quiet.
//!
//! Promises: the same policy, history, exit, time and chance give the same decision, and at most
//! `intensity` restarts happen in any window of `period`. Left to others: performing the restart, and
//! what happens to the supervisor that gave up ([`Decision::GiveUp`] usually passes the failure upwards).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::retry::RetryPolicy;
use crate::time::Timestamp;

/// Which exits lead to a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartKind {
    /// Every exit does: the child should always be there.
    #[default]
    Permanent,
    /// Only a failure does: the child may finish.
    Transient,
    /// None does.
    Temporary,
}

impl fmt::Display for RestartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// When and how often a child is restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Which exits lead to a restart.
    pub kind: RestartKind,
    /// How many restarts may happen within `period`; 0 gives up at the first exit.
    ///
    /// Supervisors above multiply it, so keep it small. The history holds this many times.
    pub intensity: u32,
    /// The window in which restarts are counted, and the quiet time after which they are forgotten.
    pub period: Duration,
    /// The wait before the second restart in a row; the first does not wait.
    pub backoff_initial: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

impl Default for RestartPolicy {
    /// Permanent, five restarts in a minute, waits from 100 ms to 30 s.
    fn default() -> Self {
        Self {
            kind: RestartKind::Permanent,
            intensity: 5,
            period: Duration::from_secs(60),
            backoff_initial: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// What is remembered of one child's restarts.
///
/// Lost with its owner, and then restarts count from zero again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestartHistory {
    /// When the child was started again, within the last period; never more than the intensity.
    restarts: Vec<Timestamp>,
    /// Restarts in a row without a quiet period between them; the exponent of the wait.
    row: u32,
}

impl RestartHistory {
    /// Returns how many restarts happened without a quiet period between them.
    pub const fn in_a_row(&self) -> u32 {
        self.row
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It finished.
    Normal,
    /// It crashed, or was killed because it hung.
    Failed,
}

/// What to do about an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again when `after` has passed.
    Restart {
        /// How long to wait first.
        after: Duration,
    },
    /// Let it rest: its kind does not ask for a restart.
    Leave,
    /// Stop trying: restarts did not help often enough within the period.
    GiveUp,
}

/// Decides about one exit of a child, and notes the restart in its history. Costs O(intensity).
pub fn decide(
    policy: &RestartPolicy,
    history: &mut RestartHistory,
    exit: Exit,
    now: Timestamp,
    chance: &mut Chance,
) -> Decision {
    let wanted =
        match (policy.kind, exit) {
            (RestartKind::Permanent, Exit::Normal | Exit::Failed)
            | (RestartKind::Transient, Exit::Failed) => true,
            (RestartKind::Transient, Exit::Normal)
            | (RestartKind::Temporary, Exit::Normal | Exit::Failed) => false,
        };
    if !wanted {
        return Decision::Leave;
    }
    history.restarts.retain(|restart| now.since(*restart) <= policy.period);
    if history.restarts.is_empty() {
        history.row = 0;
    }
    if history.restarts.len() >= policy.intensity as usize {
        return Decision::GiveUp;
    }
    let after = wait(policy, history.row, chance);
    // The restart counts from when it happens: a wait longer than the period is not a quiet period.
    history.restarts.push(now.after(after));
    history.row = history.row.saturating_add(1);
    Decision::Restart { after }
}

/// Returns the wait before the next restart after `row` restarts in a row.
fn wait(policy: &RestartPolicy, row: u32, chance: &mut Chance) -> Duration {
    if row == 0 {
        return Duration::ZERO;
    }
    let doubling = RetryPolicy {
        max_attempts: u32::MAX,
        initial: policy.backoff_initial,
        factor_percent: 200,
        max: policy.backoff_max,
    };
    doubling.backoff(row, chance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn fail(policy: &RestartPolicy, history: &mut RestartHistory, now: Timestamp) -> Decision {
        decide(policy, history, Exit::Failed, now, &mut Chance::new(3))
    }

    #[test]
    fn kind_says_which_exits_count() {
        let table = [
            (RestartKind::Permanent, Exit::Normal, true),
            (RestartKind::Permanent, Exit::Failed, true),
            (RestartKind::Transient, Exit::Normal, false),
            (RestartKind::Transient, Exit::Failed, true),
            (RestartKind::Temporary, Exit::Normal, false),
            (RestartKind::Temporary, Exit::Failed, false),
        ];
        for (kind, exit, restarts) in table {
            let policy = RestartPolicy { kind, ..RestartPolicy::default() };
            let mut history = RestartHistory::default();
            let decision = decide(&policy, &mut history, exit, at(0), &mut Chance::new(0));
            let expected =
                if restarts { Decision::Restart { after: Duration::ZERO } } else { Decision::Leave };
            assert_eq!(decision, expected, "{kind:?} after {exit:?}");
        }
    }

    #[test]
    fn first_restart_is_immediate_and_the_next_wait_grows() {
        let policy = RestartPolicy::default();
        let mut history = RestartHistory::default();
        assert_eq!(fail(&policy, &mut history, at(0)), Decision::Restart { after: Duration::ZERO });
        for (least, most) in [(50, 100), (100, 200), (200, 400), (400, 800)] {
            let Decision::Restart { after } = fail(&policy, &mut history, at(1)) else {
                panic!("gave up early");
            };
            assert!((least..=most).contains(&after.as_millis()), "waited {after:?}");
        }
        assert_eq!(fail(&policy, &mut history, at(1)), Decision::GiveUp);
    }

    #[test]
    fn quiet_period_forgets_the_failures_before_it() {
        let policy = RestartPolicy { intensity: 2, ..RestartPolicy::default() };
        let mut history = RestartHistory::default();
        fail(&policy, &mut history, at(0));
        fail(&policy, &mut history, at(1));
        assert_eq!(fail(&policy, &mut history.clone(), at(60_000)), Decision::GiveUp);
        assert_eq!(fail(&policy, &mut history, at(60_102)), Decision::Restart { after: Duration::ZERO });
        assert_eq!(history.in_a_row(), 1);
    }

    #[test]
    fn wait_longer_than_the_period_is_not_a_quiet_period() {
        let policy = RestartPolicy {
            intensity: 100,
            period: Duration::from_millis(10),
            backoff_initial: Duration::from_millis(1000),
            ..RestartPolicy::default()
        };
        let mut history = RestartHistory::default();
        let mut now = at(0);
        for _ in 0..20 {
            if let Decision::Restart { after } = fail(&policy, &mut history, now) {
                now = now.after(after).after(Duration::from_millis(1));
            }
        }
        assert_eq!(history.in_a_row(), 20);
    }

    proptest! {
        #[test]
        fn no_window_of_a_period_holds_more_restarts_than_the_intensity(
            intensity in 0_u32..6, period in 1_u64..200, gaps in prop::collection::vec(0_u64..80, 0..60), seed: u64,
        ) {
            let policy = RestartPolicy {
                intensity,
                period: Duration::from_millis(period),
                backoff_initial: Duration::from_millis(5),
                ..RestartPolicy::default()
            };
            let mut chance = Chance::new(seed);
            let (mut history, mut now, mut restarts) = (RestartHistory::default(), at(0), Vec::new());
            for gap in gaps {
                now = now.after(Duration::from_millis(gap));
                if let Decision::Restart { after } = decide(&policy, &mut history, Exit::Failed, now, &mut chance) {
                    prop_assert!(after <= policy.backoff_max);
                    now = now.after(after);
                    restarts.push(now);
                }
                prop_assert!(history.restarts.len() <= intensity as usize);
            }
            for first in &restarts {
                let window = restarts.iter().filter(|one| **one >= *first && one.since(*first) <= policy.period);
                prop_assert!(window.count() <= intensity as usize);
            }
        }
    }
}
