//! The clock of a simulated node: the world's time, counted from a fixed day.
//!
//! It follows the paused time of the host that asks, so it moves only when the world steps. While a host is
//! torn down its runtime is gone, and tokio would answer with the machine's own time; the driver stops the
//! clock for that moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use synod::node::domain::sources::Clock;
use synod::node::domain::time::Timestamp;

/// When every world begins: 2026-01-01 00:00:00 UTC.
pub const EPOCH: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Says that the clock runs.
const RUNS: u64 = u64::MAX;

/// The world's time.
#[derive(Debug)]
pub struct SimulatedClock {
    /// Milliseconds at which it stands still, or [`RUNS`].
    stands: AtomicU64,
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self { stands: AtomicU64::new(0) }
    }
}

impl SimulatedClock {
    /// Stops at the driver's time: no host runs.
    pub fn stop_at(&self, elapsed: Duration) {
        self.stands.store(whole_millis(elapsed), Ordering::Relaxed);
    }

    /// Follows the running host.
    pub fn run(&self) {
        self.stands.store(RUNS, Ordering::Relaxed);
    }

    /// Returns the time since the world began, in whole milliseconds.
    pub fn elapsed(&self) -> Duration {
        let millis = match self.stands.load(Ordering::Relaxed) {
            RUNS => whole_millis(turmoil::sim_elapsed().unwrap_or_default()),
            stands => stands,
        };
        Duration::from_millis(millis)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        EPOCH.after(self.elapsed())
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_shows_the_drivers_time() {
        let clock = SimulatedClock::default();
        clock.stop_at(Duration::from_millis(1500));
        assert_eq!(clock.now(), EPOCH.after(Duration::from_millis(1500)));
    }

    #[test]
    fn a_running_clock_follows_the_host_that_asks() {
        let clock = std::sync::Arc::new(SimulatedClock::default());
        clock.run();
        let mut sim = turmoil::Builder::new().build();
        let asked = std::sync::Arc::clone(&clock);
        sim.client("host", async move {
            let before = asked.now();
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!(asked.now().since(before), Duration::from_millis(250));
            Ok(())
        });
        sim.run().unwrap();
    }
}
