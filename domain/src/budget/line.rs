//! One limit of a budget with what was spent of it.

use serde::{Deserialize, Serialize};

use crate::budget::spec::Limit;
use crate::budget::tally::{Sums, Tally};
use crate::time::Timestamp;

/// One limit with its tally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is called in bookings. Numbers are not given out again, so that what was booked with a line that is gone
    /// is not taken from the one that came in its place.
    pub number: u64,
    /// The limit, without a raise.
    pub limit: Limit,
    /// What was spent and reserved.
    pub tally: Tally,
    /// Whether it was warned since it was last below.
    pub warned: bool,
    /// Whether it was told that it is exhausted, and not that it is open again.
    pub exhausted: bool,
}

/// Where a line stands against its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Below,
    Warned,
    Exhausted,
}

impl Line {
    pub(super) const fn new(number: u64, limit: Limit, tally: Tally) -> Self {
        Self { number, limit, tally, warned: false, exhausted: false }
    }

    /// Returns the sums that count at a time.
    pub fn sums(&self, now: Timestamp) -> Sums {
        self.tally.sums(self.limit.window, now)
    }

    /// Returns when something that counts stops counting; `None` when nothing counts, or for ever.
    pub fn turns_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.tally.turns_at(self.limit.window, now).filter(|at| *at < Timestamp::NEVER)
    }

    /// Returns where it stands by what is spent; reservations may come back.
    pub(super) fn level(&self, most: u64, warn_percent: u8, now: Timestamp) -> Level {
        let spent = self.sums(now).spent();
        if spent >= most {
            Level::Exhausted
        } else if u128::from(spent) * 100 >= u128::from(most) * u128::from(warn_percent) {
            Level::Warned
        } else {
            Level::Below
        }
    }
}
