//! How often failed work is tried again, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// The most attempts a policy may ask for.
pub const ATTEMPTS_MAX: u32 = 1000;

/// How many leases a task may lose with their agents or nodes before it is given up.
///
/// Losses are not the task's failures, so they do not count against its policy; but a task that kills
/// its node each time must not do so for ever. Ten survives every ordinary bad day of a cluster.
pub const LOSSES_MAX: u32 = 10;

/// Exponential backoff: `initial × factor^(failures − 1)`, at most `max`, of which up to half is jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 means no retry.
    pub max_attempts: u32,
    /// The wait after the first failure.
    pub initial: Duration,
    /// What the wait is multiplied by after each further failure, in hundredths (200 doubles it).
    pub factor_percent: u32,
    /// The longest wait.
    pub max: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts, after 1 s and 2 s, at most 60 s.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial: Duration::from_secs(1),
            factor_percent: 200,
            max: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Tells whether another attempt is allowed after `failures` failed ones.
    pub const fn allows_another(&self, failures: u32) -> bool {
        failures < self.max_attempts
    }

    /// Returns how long to wait after the failure number `failures` (from 1).
    ///
    /// Half is fixed and half is drawn ("equal jitter"), so that work that failed together does not
    /// come back together and never comes back at once.
    pub fn backoff(&self, failures: u32, chance: &mut Chance) -> Duration {
        let cap = self.max.as_millis();
        let mut wait = self.initial.as_millis();
        for _ in 1..failures {
            if wait >= cap {
                break;
            }
            wait = wait.saturating_mul(u128::from(self.factor_percent)) / 100;
        }
        let wait = u64::try_from(wait.min(cap)).unwrap_or(u64::MAX);
        let fixed = wait / 2;
        Duration::from_millis(fixed + chance.below(wait - fixed + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_until_the_longest() {
        let policy = RetryPolicy::default();
        let bounds = [(1, 500, 1000), (2, 1000, 2000), (3, 2000, 4000), (20, 30_000, 60_000)];
        for (failures, least, most) in bounds {
            let wait = policy.backoff(failures, &mut Chance::new(7)).as_millis();
            assert!((least..=most).contains(&wait), "failure {failures}: waited {wait} ms");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_longest(
            initial in 0_u64..10_000_000, factor in 0_u32..1000, max in 0_u64..10_000_000,
            failures in 1_u32..2000, seed: u64,
        ) {
            let policy = RetryPolicy {
                max_attempts: 3,
                initial: Duration::from_millis(initial),
                factor_percent: factor,
                max: Duration::from_millis(max),
            };
            prop_assert!(policy.backoff(failures, &mut Chance::new(seed)) <= policy.max);
        }
    }
}
