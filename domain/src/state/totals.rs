//! Keeping count of what was done, beside the rules that do it.

use std::time::Duration;

use crate::state::State;
use crate::totals::{Today, Totals};

impl State {
    /// Counts something, since ever and for the day.
    pub(super) fn count(&mut self, count: impl Fn(&mut Totals)) {
        count(&mut self.meta.totals);
        count(&mut self.meta.today.totals);
    }

    pub(super) fn count_wait(&mut self, waited: Duration) {
        self.count(|totals| totals.waited = totals.waited.saturating_add(waited));
    }

    /// Returns what has been done since ever.
    pub const fn totals(&self) -> &Totals {
        &self.meta.totals
    }

    /// Returns what has been done on the day of the last entry.
    pub const fn today(&self) -> &Today {
        &self.meta.today
    }
}
