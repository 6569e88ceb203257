//! What has been done, counted: since ever and in the present day.
//!
//! Every task that was ever accepted is in `submitted`, and it is either unfinished or in one of the four ends.
//! A redriven dead letter stays counted in the end it had; the task made from it counts as another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::Phase;
use crate::time::Timestamp;

/// Milliseconds of a day; days begin at midnight UTC and have no leap seconds.
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Counts and summed times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tasks accepted.
    pub submitted: u64,
    /// Tasks that ended with a result.
    pub completed: u64,
    /// Tasks that were given up.
    pub failed: u64,
    /// Tasks that ran out of time.
    pub timed_out: u64,
    /// Tasks that were called off.
    pub cancelled: u64,
    /// Attempts that failed and were followed by another try. Lost and released leases are none.
    pub retried: u64,
    /// From submit to the first start, summed over the tasks that were started.
    pub waited: Duration,
    /// From start to end, summed over the attempts that were started and ended.
    pub worked: Duration,
}

impl Totals {
    /// Counts an end; a phase that is none is not counted.
    pub(crate) const fn count_end(&mut self, phase: Phase) {
        match phase {
            Phase::Completed => self.completed += 1,
            Phase::Failed => self.failed += 1,
            Phase::TimedOut => self.timed_out += 1,
            Phase::Cancelled => self.cancelled += 1,
            Phase::Pending | Phase::Scheduled | Phase::Running => {}
        }
    }

    /// Returns how many tasks have ended.
    pub const fn ended(&self) -> u64 {
        self.completed + self.failed + self.timed_out + self.cancelled
    }
}

/// The totals of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Today {
    /// Which day, counted from 1970-01-01 UTC. The day of the last entry: nothing at all happened since.
    pub day: u64,
    /// What was done in it.
    pub totals: Totals,
}

impl Today {
    /// Begins anew when the day is another.
    pub(crate) fn turn(&mut self, now: Timestamp) {
        let day = now.as_millis() / DAY_MILLIS;
        if day != self.day {
            *self = Self { day, totals: Totals::default() };
        }
    }
}
