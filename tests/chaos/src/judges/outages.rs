//! How long writes stopped after each fault: no judge of right and wrong, but of the goals of a scenario.
//!
//! Source: reliability plan T1, "p99 write outage < 3 s, max < 8 s". The time runs from the fault to the answer
//! of the first write that was asked for after it, so an answer on its way at that moment shortens nothing.

use crate::history::{Answer, Fact, Micros, Record, Request, calls};

/// The times from each fault to the next acknowledged write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outages {
    /// Sorted, shortest first.
    pub lengths: Vec<Micros>,
    /// Faults after which no write was ever acknowledged.
    pub without_end: usize,
}

impl Outages {
    /// Measures them.
    pub fn of(history: &[Record]) -> Self {
        let mut writes: Vec<(Micros, Micros)> = calls(history)
            .iter()
            .filter(|call| match (call.request, call.answer) {
                (Request::Submit { .. }, Some(Answer::Submitted { .. }))
                | (Request::Complete { .. } | Request::Fail { .. }, Some(Answer::Stands { .. })) => true,
                (Request::Claim { .. }, Some(Answer::Claimed { leases })) => !leases.is_empty(),
                _ => false,
            })
            .filter_map(|call| Some((call.asked, call.answered?)))
            .collect();
        writes.sort_unstable();
        // From the back: the earliest answer among all writes asked for from here on.
        let mut earliest = Micros::MAX;
        for write in writes.iter_mut().rev() {
            earliest = earliest.min(write.1);
            write.1 = earliest;
        }
        let mut outages = Self::default();
        for record in history {
            let Fact::Injected { outage: true, .. } = record.fact else { continue };
            let next = writes.partition_point(|(asked, _)| *asked < record.at);
            match writes.get(next) {
                Some((_, answered)) => outages.lengths.push(answered - record.at),
                None => outages.without_end += 1,
            }
        }
        outages.lengths.sort_unstable();
        outages
    }

    /// Returns the length that so many of a hundred do not exceed; `None` without any.
    pub fn percentile(&self, percent: usize) -> Option<Micros> {
        let last = self.lengths.len().checked_sub(1)?;
        self.lengths.get((self.lengths.len() * percent).div_ceil(100).saturating_sub(1).min(last)).copied()
    }

    /// Returns the longest.
    pub fn max(&self) -> Option<Micros> {
        self.lengths.last().copied()
    }
}
