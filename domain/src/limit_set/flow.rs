//! What went through in the last while, exactly enough.
//!
//! A bucket that fills up lets through nearly twice its rate in an unlucky stretch of time: what it holds, and what comes
//! in meanwhile. Here is counted what went through, so that no stretch as long as the window ever has more than the
//! limit. What went through close together is counted as if all of it had gone through when the last of it did, which
//! errs on the safe side and keeps it small.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Into how many parts a window is divided. More of them are more exact and make larger rows.
const PARTS: u32 = 32;

/// What went through one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    entries: VecDeque<Entry>,
}

/// What went through close together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    first: Timestamp,
    last: Timestamp,
    amount: u64,
}

impl Flow {
    /// Forgets what went through longer ago than the window.
    pub fn forget(&mut self, window: Duration, now: Timestamp) {
        while self.entries.front().is_some_and(|entry| entry.last.after(window) <= now) {
            self.entries.pop_front();
        }
    }

    /// Returns how much went through in the window that ends now.
    pub fn passed(&self, window: Duration, now: Timestamp) -> u64 {
        let recent = self.entries.iter().filter(|entry| entry.last.after(window) > now);
        recent.fold(0, |sum, entry| sum.saturating_add(entry.amount))
    }

    /// Returns when `amount` may go through; `now` or earlier means at once. More than the limit goes through when
    /// nothing else did, for otherwise it never would.
    pub fn room_at(&self, limit: u64, window: Duration, amount: u64, now: Timestamp) -> Timestamp {
        let most = limit.saturating_sub(amount.min(limit));
        let mut passed = self.passed(window, now);
        let mut at = now;
        for entry in self.entries.iter().filter(|entry| entry.last.after(window) > now) {
            if passed <= most {
                break;
            }
            passed = passed.saturating_sub(entry.amount);
            at = entry.last.after(window);
        }
        at
    }

    /// Notes that something goes through now.
    pub fn note(&mut self, window: Duration, amount: u64, now: Timestamp) {
        self.forget(window, now);
        match self.entries.back_mut() {
            Some(entry) if now.since(entry.first) < window / PARTS => {
                entry.last = now;
                entry.amount = entry.amount.saturating_add(amount);
            }
            Some(_) | None => self.entries.push_back(Entry { first: now, last: now, amount }),
        }
    }

    /// Corrects what was noted at a time as `noted` to what it came to. What it is more counts from now on: nobody
    /// knows when between the two it went through.
    pub fn correct(&mut self, window: Duration, at: Timestamp, noted: u64, actual: u64, now: Timestamp) {
        if actual > noted {
            return self.note(window, actual - noted, now);
        }
        let entry = self.entries.iter_mut().find(|entry| entry.first <= at && at <= entry.last);
        if let Some(entry) = entry {
            entry.amount = entry.amount.saturating_sub(noted - actual);
        }
        self.forget(window, now);
    }

    /// Returns when the first of what counts now does not any more.
    pub fn next_room(&self, window: Duration, now: Timestamp) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.last.after(window)).find(|at| *at > now)
    }

    /// Returns when nothing of it counts any more, if something does.
    pub fn over_at(&self, window: Duration) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.last.after(window))
    }

    /// Tells whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_millis(1000);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_burst_goes_through_and_the_next_when_it_is_a_window_ago() {
        let mut flow = Flow::default();
        for _ in 0..3 {
            assert_eq!(flow.room_at(3, WINDOW, 1, at(5000)), at(5000));
            flow.note(WINDOW, 1, at(5000));
        }
        assert_eq!(flow.room_at(3, WINDOW, 1, at(5400)), at(6000));
        assert_eq!((flow.passed(WINDOW, at(5999)), flow.passed(WINDOW, at(6000))), (3, 0));
        flow.forget(WINDOW, at(6000));
        assert!(flow.is_empty());
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_through_alone() {
        let mut flow = Flow::default();
        assert_eq!(flow.room_at(10, WINDOW, 500, at(1)), at(1));
        flow.note(WINDOW, 500, at(1));
        assert_eq!(flow.room_at(10, WINDOW, 1, at(2)), at(1001));
        assert_eq!(flow.room_at(10, WINDOW, 500, at(1001)), at(1001));
    }

    #[test]
    fn a_correction_gives_back_or_counts_from_now_on() {
        let mut flow = Flow::default();
        flow.note(WINDOW, 100, at(1000));
        flow.correct(WINDOW, at(1000), 100, 40, at(1500));
        assert_eq!(flow.passed(WINDOW, at(1500)), 40);
        flow.correct(WINDOW, at(1000), 40, 90, at(1600));
        assert_eq!((flow.passed(WINDOW, at(1600)), flow.passed(WINDOW, at(2100))), (90, 50));
        // What is no longer known is not given back.
        flow.correct(WINDOW, at(1000), 100, 0, at(2200));
        assert_eq!(flow.passed(WINDOW, at(2200)), 50);
    }

    proptest! {
        #[test]
        fn no_stretch_as_long_as_the_window_has_more_than_the_limit(
            limit in 1_u64..40,
            steps in prop::collection::vec((0_u64..120, 1_u64..6), 1..400),
        ) {
            let mut flow = Flow::default();
            let mut through: Vec<(u64, u64)> = Vec::new();
            let mut now = 1000;
            for (step, amount) in steps {
                now += step;
                let amount = amount.min(limit);
                let room = flow.room_at(limit, WINDOW, amount, at(now));
                if room <= at(now) {
                    flow.note(WINDOW, amount, at(now));
                    through.push((now, amount));
                } else {
                    // It says the truth about when: by then there is room, and that is within a window.
                    prop_assert!(room <= at(now + 1000));
                    prop_assert!(flow.room_at(limit, WINDOW, amount, room) <= room);
                }
                prop_assert!(flow.entries.len() <= PARTS as usize + 2);
            }
            for (place, (begin, _)) in through.iter().enumerate() {
                let inside = through[place..].iter().take_while(|(time, _)| *time < begin + 1000);
                prop_assert!(inside.map(|(_, amount)| amount).sum::<u64>() <= limit);
            }
        }
    }
}
