//! What foca wants to do later, in the order in which it is due.
//!
//! Promises the order of deadlines, and of asking among equals. A node that stalled would find many of them due at
//! once and take others for silent while it was itself; so the time it missed is given to all ([`Timers::postpone`]).

use std::collections::BTreeMap;
use std::time::Duration;

use foca::Timer;
use tokio::time::Instant;

use crate::gossip::presence::Presence;

/// Timers that wait. Bounded by what foca asks: a few, and one for each suspect and each of the dead.
#[derive(Debug, Default)]
pub(super) struct Timers {
    waiting: BTreeMap<(Instant, u64), Timer<Presence>>,
    sequence: u64,
}

impl Timers {
    pub(super) fn add(&mut self, at: Instant, timer: Timer<Presence>) {
        self.sequence += 1;
        self.waiting.insert((at, self.sequence), timer);
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Timer<Presence>> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Gives all of them so much more time.
    pub(super) fn postpone(&mut self, by: Duration) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting.into_iter().map(|((at, number), timer)| ((at + by, number), timer)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_come_by_deadline_then_by_order_and_postponing_keeps_both() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut timers = Timers::default();
        timers.add(start + 2 * second, Timer::PeriodicGossip(1));
        timers.add(start + second, Timer::PeriodicGossip(2));
        timers.add(start + second, Timer::PeriodicGossip(3));
        timers.postpone(10 * second);
        assert_eq!(timers.next_at(), Some(start + 11 * second));
        assert_eq!(timers.due(start + 10 * second), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.due(start + 20 * second)).collect();
        assert_eq!(due, [Timer::PeriodicGossip(2), Timer::PeriodicGossip(3), Timer::PeriodicGossip(1)]);
    }
}
