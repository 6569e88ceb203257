//! Clocks: the world's time, counted from a fixed day, and what the clock of a node makes of it.
//!
//! It follows the paused time of the host that asks, so it moves only when the world steps. While a host is
//! torn down its runtime is gone, and tokio would answer with the machine's own time; the driver stops the
//! clock for that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
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

/// The wall clock of one node. Its timers follow the world's time all the same, as a machine's do.
#[derive(Debug)]
pub struct NodeClock {
    world: Arc<SimulatedClock>,
    error: Mutex<ClockError>,
}

/// By how much a clock is wrong.
#[derive(Debug, Clone, Copy, Default)]
struct ClockError {
    /// How far it is ahead, in milliseconds.
    ahead: i64,
    /// By how many millionths it goes too fast.
    drift: i64,
    /// Since when it does.
    since: Duration,
    /// When it was stopped, if it stands still.
    stands: Option<Duration>,
}

impl ClockError {
    fn ahead_at(&self, at: Duration) -> i64 {
        let since = whole_millis(at.saturating_sub(self.since));
        self.ahead + i64::try_from(since).unwrap_or(i64::MAX).saturating_mul(self.drift) / 1_000_000
    }
}

impl NodeClock {
    /// Makes a clock that is right.
    pub fn new(world: Arc<SimulatedClock>) -> Self {
        Self { world, error: Mutex::default() }
    }

    /// Puts it forward by so many milliseconds, or back.
    pub fn jump(&self, millis: i64) {
        self.error.lock().ahead += millis;
    }

    /// Lets it go too fast by so many millionths from here on, or too slow.
    pub fn drift(&self, millionths: i64) {
        let now = self.world.elapsed();
        let mut error = self.error.lock();
        error.ahead = error.ahead_at(now);
        (error.drift, error.since) = (millionths, now);
    }

    /// Stops it, or lets it go on from where the others are.
    pub fn stand_still(&self, stands: bool) {
        let now = self.world.elapsed();
        self.error.lock().stands = stands.then_some(now);
    }

    /// Makes it right again.
    pub fn set_right(&self) {
        *self.error.lock() = ClockError::default();
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let error = *self.error.lock();
        let at = error.stands.unwrap_or_else(|| self.world.elapsed());
        let shown = i64::try_from(EPOCH.after(at).as_millis()).unwrap_or(i64::MAX);
        let shown = shown.saturating_add(error.ahead_at(at)).max(0);
        Timestamp::from_millis(u64::try_from(shown).unwrap_or(0))
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
    fn a_wrong_clock_is_wrong_by_as_much_as_was_said() {
        let world = Arc::new(SimulatedClock::default());
        let clock = NodeClock::new(Arc::clone(&world));
        world.stop_at(Duration::from_secs(10));
        clock.drift(1_000);
        clock.jump(-500);
        world.stop_at(Duration::from_secs(20));
        assert_eq!(clock.now(), EPOCH.after(Duration::from_millis(19_510)));
        clock.stand_still(true);
        world.stop_at(Duration::from_secs(30));
        assert_eq!(clock.now(), EPOCH.after(Duration::from_millis(19_510)));
        clock.set_right();
        assert_eq!(clock.now(), EPOCH.after(Duration::from_secs(30)));
    }

    #[test]
    fn a_running_clock_follows_the_host_that_asks() {
        let clock = Arc::new(SimulatedClock::default());
        clock.run();
        let mut sim = turmoil::Builder::new().build();
        let asked = Arc::clone(&clock);
        sim.client("host", async move {
            let before = asked.now();
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!(asked.now().since(before), Duration::from_millis(250));
            Ok(())
        });
        sim.run().unwrap();
    }
}
