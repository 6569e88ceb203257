//! What a task of a kind uses by experience, for those who give no estimate.
//!
//! A moving average in whole numbers: each report moves it by an eighth of the difference, so that a dozen reports
//! forget a bad first one. It holds 8 bits behind the point, which makes it exact on every replica and settles within
//! one unit of what is reported again and again.

use serde::{Deserialize, Serialize};

use crate::budget::amount::{Amount, FIGURE_MAX};

/// How many bits stand behind the point.
const POINT: u32 = 8;

/// A report moves the average by one part in 2 to this power.
const WEIGHT: u32 = 3;

/// The average of what was reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Average {
    /// How many reports it knows.
    pub reports: u64,
    /// The averages, each with 8 bits behind the point.
    scaled: Amount,
}

impl Average {
    /// Takes a report in.
    pub fn learn(&mut self, used: &Amount) {
        let used = used.bounded();
        let first = self.reports == 0;
        let moved = |before: u64, figure: u64| {
            let target = figure << POINT;
            if first {
                target
            } else if target >= before {
                before + ((target - before) >> WEIGHT)
            } else {
                before - (before - target).div_ceil(1 << WEIGHT)
            }
        };
        self.scaled = Amount {
            tokens: moved(self.scaled.tokens, used.tokens),
            cost_microusd: moved(self.scaled.cost_microusd, used.cost_microusd),
            compute_ms: moved(self.scaled.compute_ms, used.compute_ms),
            requests: moved(self.scaled.requests, used.requests),
        };
        self.reports = self.reports.saturating_add(1);
    }

    /// Returns what the next one is expected to use, rounded up; `None` before the first report.
    pub fn estimate(&self) -> Option<Amount> {
        let up = |scaled: u64| scaled.div_ceil(1 << POINT).min(FIGURE_MAX);
        (self.reports > 0).then(|| Amount {
            tokens: up(self.scaled.tokens),
            cost_microusd: up(self.scaled.cost_microusd),
            compute_ms: up(self.scaled.compute_ms),
            requests: up(self.scaled.requests),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[u64]) -> Option<u64> {
        let mut average = Average::default();
        for tokens in reports {
            average.learn(&Amount { tokens: *tokens, ..Amount::default() });
        }
        average.estimate().map(|estimate| estimate.tokens)
    }

    #[test]
    fn an_average_begins_with_the_first_report_and_follows_by_an_eighth() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[800]), Some(800));
        assert_eq!(after(&[800, 1600]), Some(900));
        assert_eq!(after(&[800, 0]), Some(700));
    }

    #[test]
    fn what_is_reported_again_and_again_is_what_is_expected() {
        let mut reports = vec![1_000_000];
        reports.extend([7; 200]);
        assert_eq!(after(&reports), Some(7));
        reports.extend([5000; 200]);
        assert_eq!(after(&reports), Some(5000));
        reports.extend([0; 200]);
        assert_eq!(after(&reports), Some(0));
    }
}
