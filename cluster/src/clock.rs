//! The time of the cluster: what entries carry, deadlines are measured by, and every node agrees on.
//!
//! ```text
//!   wall clock ──slowly──►┐
//!   steady time ─────────►├─ Pace ─► now
//!   entries, pulses ─────►┘
//! ```
//!
//! Promises that it never goes back; that a wall clock that jumps, or is a day off, does not move it while the
//! group lives; that whoever follows continues from the leader's last word plus the steady time since; and that a
//! group that starts with nobody left who remembers takes the wall clock, but no time before its own past. A node
//! that stands alone has nobody to disagree with and follows its wall clock forward; behind its own past it waits for
//! that clock slowly, and does not stand still: what is due comes due. Leaves reading the system's clocks to the
//! [`Clock`] it wraps and to tokio.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod_domain::sources::Clock;
use synod_domain::time::Timestamp;
use tokio::time::Instant;

/// How much steady time must pass for the cluster's time to come one unit nearer to the leader's wall clock. At
/// one in a hundred, a timeout of a minute is wrong by less than a second, and an hour of difference is gone in
/// four days.
pub const APPROACH: u128 = 100;

const NANOS_PER_MILLI: u128 = 1_000_000;

/// Who sets the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The wall clock, forward only: nobody else is there. While it is behind, steady time, and slowly towards it.
    Alone,
    /// Another node, or nobody yet: steady time since the last word.
    Follows,
    /// This node: steady time, and slowly towards its wall clock.
    Leads,
}

/// The rule. Everything it knows of the outside comes in as an argument.
#[derive(Debug, Clone)]
pub struct Pace {
    role: Role,
    /// Cluster time in nanoseconds as of `steady`.
    base: u128,
    steady: Duration,
    /// The last answer; no later one is less.
    last: u128,
    /// Whether a leader's word was heard since the start.
    guided: bool,
}

impl Pace {
    /// Begins at the time that the state has.
    pub fn new(role: Role, state: Timestamp, steady: Duration) -> Self {
        let base = nanos(state);
        Self { role, base, steady, last: base, guided: false }
    }

    /// Returns the time.
    pub fn now(&mut self, steady: Duration, wall: Timestamp) -> Timestamp {
        let elapsed = steady.saturating_sub(self.steady).as_nanos();
        self.steady = self.steady.max(steady);
        self.base = self.base.saturating_add(elapsed);
        let wall = nanos(wall);
        match self.role {
            Role::Alone if wall >= self.base => self.base = wall,
            Role::Follows => {}
            // Less than what passed, in either direction: it slows down or hurries, and never turns.
            Role::Leads if wall >= self.base => self.base += (wall - self.base).min(elapsed / APPROACH),
            Role::Alone | Role::Leads => self.base -= (self.base - wall).min(elapsed / APPROACH),
        }
        self.last = self.last.max(self.base);
        millis(self.last)
    }

    /// Takes the time of an applied entry: nothing is ever before it.
    pub fn applied(&mut self, at: Timestamp, steady: Duration, wall: Timestamp) {
        // What has passed is counted first: it is in the entry's time already.
        self.now(steady, wall);
        self.base = self.base.max(nanos(at));
        self.last = self.last.max(self.base);
    }

    /// Takes a leader's word for what time it is now.
    pub fn heard(&mut self, at: Timestamp, steady: Duration) {
        self.guided = true;
        if self.role == Role::Follows {
            self.base = nanos(at);
            self.steady = self.steady.max(steady);
        }
    }

    /// Sets the pace from here on. Without a word of another leader since the start, the whole group has been
    /// down, and only wall clocks know for how long.
    pub fn lead(&mut self, steady: Duration, wall: Timestamp) {
        if self.role != Role::Follows {
            return;
        }
        self.now(steady, wall);
        // What this node has told is the past of whoever reads its entries.
        self.base = self.last;
        self.role = Role::Leads;
        if !self.guided {
            self.base = self.base.max(nanos(wall));
        }
        // It has the time now, as if it had been told.
        self.guided = true;
    }

    /// Lets somebody else set the pace.
    pub fn follow(&mut self) {
        if self.role == Role::Leads {
            self.role = Role::Follows;
        }
    }
}

fn nanos(at: Timestamp) -> u128 {
    u128::from(at.as_millis()) * NANOS_PER_MILLI
}

fn millis(nanos: u128) -> Timestamp {
    Timestamp::from_millis(u64::try_from(nanos / NANOS_PER_MILLI).unwrap_or(u64::MAX))
}

/// The time of the cluster, as this node tells it.
pub struct ClusterClock {
    wall: Arc<dyn Clock>,
    origin: Instant,
    pace: Mutex<Pace>,
}

impl ClusterClock {
    /// Begins at the time that the state has; `alone` says that there will be no other members.
    pub fn new(wall: Arc<dyn Clock>, state: Timestamp, alone: bool) -> Self {
        let role = if alone { Role::Alone } else { Role::Follows };
        Self { wall, origin: Instant::now(), pace: Mutex::new(Pace::new(role, state, Duration::ZERO)) }
    }

    /// Takes the time of an applied entry.
    pub(crate) fn applied(&self, at: Timestamp) {
        let wall = self.wall.now();
        self.pace.lock().applied(at, self.origin.elapsed(), wall);
    }

    /// Takes a leader's word for what time it is.
    pub(crate) fn heard(&self, at: Timestamp) {
        self.pace.lock().heard(at, self.origin.elapsed());
    }

    /// Returns the time if a leader has ever told it to this node; others are not to be believed.
    pub(crate) fn told(&self) -> Option<Timestamp> {
        let wall = self.wall.now();
        let mut pace = self.pace.lock();
        pace.guided.then(|| pace.now(self.origin.elapsed(), wall))
    }

    /// Sets the pace from here on.
    pub(crate) fn lead(&self) {
        let wall = self.wall.now();
        self.pace.lock().lead(self.origin.elapsed(), wall);
    }

    /// Lets another node set the pace.
    pub(crate) fn follow(&self) {
        self.pace.lock().follow();
    }
}

impl Clock for ClusterClock {
    fn now(&self) -> Timestamp {
        let wall = self.wall.now();
        self.pace.lock().now(self.origin.elapsed(), wall)
    }
}

impl std::fmt::Debug for ClusterClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterClock").field("pace", &*self.pace.lock()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[derive(Debug, Clone)]
    enum Step {
        Look { pass: u64, wall: u64 },
        Applied(u64),
        Heard(u64),
        Lead(u64),
        Follow,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let time = 0..20 * DAY;
        let step = prop_oneof![
            4 => (0..5000_u64, time.clone()).prop_map(|(pass, wall)| Step::Look { pass, wall }),
            1 => time.clone().prop_map(Step::Applied),
            1 => time.clone().prop_map(Step::Heard),
            1 => time.prop_map(Step::Lead),
            1 => Just(Step::Follow),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn time_never_goes_back(role in 0..2_u8, steps in steps()) {
            let role = if role == 0 { Role::Alone } else { Role::Follows };
            let mut pace = Pace::new(role, at(DAY), Duration::ZERO);
            let (mut steady, mut last) = (Duration::ZERO, at(DAY));
            for step in steps {
                match step {
                    Step::Look { pass, wall } => {
                        steady += ms(pass);
                        let now = pace.now(steady, at(wall));
                        prop_assert!(now >= last);
                        last = now;
                    }
                    Step::Applied(time) => {
                        pace.applied(at(time), steady, at(0));
                        let now = pace.now(steady, at(0));
                        prop_assert!(now >= at(time) && now >= last);
                        last = now;
                    }
                    Step::Heard(time) => pace.heard(at(time), steady),
                    Step::Lead(wall) => pace.lead(steady, at(wall)),
                    Step::Follow => pace.follow(),
                }
            }
        }

        #[test]
        fn entries_never_put_a_follower_ahead_of_its_leader(
            steps in proptest::collection::vec((0..500_u64, 0..200_u64, any::<bool>()), 1..60),
        ) {
            // The leader's time is the steady time here; its words and entries were as late as they like.
            let mut pace = Pace::new(Role::Follows, at(0), Duration::ZERO);
            let mut steady = 0;
            for (pass, late, entry) in steps {
                steady += pass;
                let told = at(steady.saturating_sub(late));
                if entry {
                    pace.applied(told, ms(steady), at(DAY));
                } else {
                    pace.heard(told, ms(steady));
                }
                let now = pace.now(ms(steady), at(DAY));
                prop_assert!(now <= at(steady), "{now:?} at {steady}");
                prop_assert!(!entry || now >= told);
            }
        }

        #[test]
        fn a_leader_whose_wall_clock_jumps_does_not(walls in proptest::collection::vec(0..20 * DAY, 1..50)) {
            let mut pace = Pace::new(Role::Follows, at(DAY), Duration::ZERO);
            pace.heard(at(DAY), Duration::ZERO);
            pace.lead(Duration::ZERO, at(walls[0]));
            let mut last = DAY;
            for (second, wall) in (1..).zip(walls) {
                let now = pace.now(ms(second * 1000), at(wall)).as_millis();
                prop_assert!((989..=1011).contains(&(now - last)), "{} in a second", now - last);
                last = now;
            }
        }
    }

    #[test]
    fn a_leader_comes_nearer_to_its_wall_clock_and_stays_there() {
        for wall in [10 * DAY - 5_000, 10 * DAY + 5_000] {
            let mut pace = Pace::new(Role::Follows, at(10 * DAY), Duration::ZERO);
            pace.heard(at(10 * DAY), Duration::ZERO);
            pace.lead(Duration::ZERO, at(wall));
            let mut apart = 5_000;
            for second in 1..=1_000 {
                let now = pace.now(ms(second * 1000), at(wall + second * 1000)).as_millis();
                let still = now.abs_diff(wall + second * 1000);
                assert!(still <= apart);
                apart = still;
            }
            assert_eq!(apart, 0);
        }
    }

    #[test]
    fn looking_often_comes_nearer_as_fast_as_looking_seldom() {
        let mut pace = Pace::new(Role::Follows, at(0), Duration::ZERO);
        pace.heard(at(0), Duration::ZERO);
        pace.lead(Duration::ZERO, at(DAY));
        let mut now = Timestamp::ZERO;
        for step in 1..=100_000 {
            now = pace.now(Duration::from_micros(step * 100), at(DAY));
        }
        assert_eq!(now, at(10_100));
    }

    #[test]
    fn a_group_that_starts_afresh_takes_the_later_of_its_past_and_the_wall_clock() {
        for (past, wall, expected) in [(DAY, 2 * DAY, 2 * DAY), (2 * DAY, DAY, 2 * DAY)] {
            let mut pace = Pace::new(Role::Follows, at(past), Duration::ZERO);
            pace.lead(Duration::ZERO, at(wall));
            assert_eq!(pace.now(Duration::ZERO, at(wall)), at(expected));
        }
    }

    #[test]
    fn whoever_takes_over_goes_on_from_the_last_word_and_the_time_since() {
        let mut pace = Pace::new(Role::Follows, at(0), Duration::ZERO);
        pace.heard(at(5_000), ms(100));
        pace.applied(at(4_000), ms(100), at(DAY));
        assert_eq!(pace.now(ms(1_100), at(DAY)), at(6_000));
        pace.lead(ms(2_100), at(DAY));
        assert_eq!(pace.now(ms(2_100), at(DAY)), at(7_000));
        assert_eq!(pace.now(ms(3_100), at(DAY)), at(8_010));
    }

    #[test]
    fn a_follower_that_was_ahead_waits_for_its_leader() {
        let mut pace = Pace::new(Role::Follows, at(9_000), Duration::ZERO);
        assert_eq!(pace.now(ms(1_000), at(0)), at(10_000));
        pace.heard(at(5_000), ms(1_000));
        assert_eq!(pace.now(ms(3_000), at(0)), at(10_000));
        assert_eq!(pace.now(ms(7_000), at(0)), at(11_000));
    }

    #[test]
    fn a_node_alone_follows_its_wall_clock_forward_only() {
        let mut pace = Pace::new(Role::Alone, at(5_000), Duration::ZERO);
        assert_eq!(pace.now(Duration::ZERO, at(6_000)), at(6_000));
        assert_eq!(pace.now(ms(1), at(DAY)), at(DAY));
        pace.lead(ms(1), at(0));
        assert_eq!(pace.now(ms(2), at(0)), at(DAY));
    }

    #[test]
    fn time_goes_on_for_a_node_alone_whose_wall_clock_was_ahead_and_is_put_right() {
        let mut pace = Pace::new(Role::Alone, at(0), Duration::ZERO);
        assert_eq!(pace.now(Duration::ZERO, at(DAY)), at(DAY));
        // What was to time out in a second does, and not in a day.
        assert_eq!(pace.now(ms(1_000), at(1_000)), at(DAY + 990));
        let mut started_again = Pace::new(Role::Alone, at(DAY + 990), Duration::ZERO);
        assert_eq!(started_again.now(ms(1_000), at(2_000)), at(DAY + 1_980));
        // And when the wall clock has come there, it is followed again.
        assert_eq!(started_again.now(ms(2_000), at(3 * DAY)), at(3 * DAY));
    }
}
