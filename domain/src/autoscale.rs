//! How many agents a pool should have for the work that waits for it.
//!
//! ```text
//!   Load { work that waits, agents, who is busy, since when there is little to do } ──► Decision { change, look again at }
//! ```
//!
//! Promises: the new number is within the pool's bounds and no further from the old one than a step; a pool without
//! agents gets some as soon as work waits, without a cooldown; agents that hold work are not counted as spare; the same
//! load gives the same decision. Left to others: measuring the load, proposing the change, and who leaves.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// When and by how much a pool becomes larger or smaller by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoscaleSpec {
    /// How many tasks may wait for each agent before there are to be more agents; at least 1.
    pub waiting_per_agent: u32,
    /// How long the oldest waiting task may wait before there are to be more agents, however few tasks wait.
    pub age: Option<Duration>,
    /// By how many agents the pool grows at a time; at least 1.
    pub step_up: u32,
    /// By how many agents it shrinks at a time; at least 1.
    pub step_down: u32,
    /// How long after a change the next one comes at the earliest, and how long agents must have been spare before
    /// they leave. A shorter one follows the work more closely and starts and stops more agents for it.
    pub cooldown: Duration,
    /// After how long without any work a pool whose `min` is 0 gives up its last agent; never without.
    pub zero_after: Option<Duration>,
}

impl Default for AutoscaleSpec {
    fn default() -> Self {
        Self {
            waiting_per_agent: 1,
            age: None,
            step_up: 4,
            step_down: 1,
            cooldown: Duration::from_secs(30),
            zero_after: None,
        }
    }
}

impl AutoscaleSpec {
    /// Says what is wrong with it, if anything is: the field and why.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.waiting_per_agent == 0 {
            return Some(("autoscale.waiting_per_agent", "it must be at least 1"));
        }
        if self.step_up == 0 || self.step_down == 0 {
            return Some(("autoscale.step", "both steps must be at least 1"));
        }
        let too_short = |limit: &Duration| *limit < Duration::from_millis(1);
        if self.age.as_ref().is_some_and(too_short) || self.zero_after.as_ref().is_some_and(too_short) {
            return Some(("autoscale", "each time must be at least a millisecond"));
        }
        None
    }
}

/// How a pool is scaled, as agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaling {
    /// By which rule.
    pub spec: AutoscaleSpec,
    /// What was decided last.
    pub last: Option<Scaled>,
}

/// A decision that changed how many agents a pool should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaled {
    /// When.
    pub at: Timestamp,
    /// How many it should have before.
    pub from: u32,
    /// How many it should have from then on.
    pub to: u32,
    /// Why, for a person.
    pub reason: Arc<str>,
}

/// What there is to do for a pool, and who is there for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// The time.
    pub now: Timestamp,
    /// How many tasks wait that its agents could do.
    pub waiting: u64,
    /// How many of them policies keep from every agent that it has, and not from the next.
    pub stranded: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Timestamp>,
    /// How many tasks that are addressed to it have not ended.
    pub unfinished: u64,
    /// How many agents it should have.
    pub target: u32,
    /// How many agents it keeps at least.
    pub min: u32,
    /// How many it may have.
    pub max: u32,
    /// How many of its agents are still to come.
    pub coming: u32,
    /// How many agents hold work.
    pub busy: u32,
    /// How many more tasks its agents would take at once.
    pub free: u64,
    /// When it was scaled last.
    pub scaled_at: Option<Timestamp>,
}

/// Since when a pool has had little to do. Whoever looks at it again and again remembers this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calm {
    /// Since when nothing waits and some agent holds nothing.
    pub spare_since: Option<Timestamp>,
    /// Since when it has no work at all.
    pub idle_since: Option<Timestamp>,
}

impl Calm {
    /// Takes note of how it goes now.
    pub fn note(&mut self, load: &Load) {
        let spare = load.waiting == 0 && load.busy < load.target;
        let idle = spare && load.busy == 0 && load.unfinished == 0;
        self.spare_since = spare.then(|| self.spare_since.unwrap_or(load.now));
        self.idle_since = idle.then(|| self.idle_since.unwrap_or(load.now));
    }
}

/// What is to be done about a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// How many agents it should have from here on, and why; `None` when nothing changes.
    pub change: Option<(u32, String)>,
    /// When to look again at the latest, if nothing happens before.
    pub look_at: Option<Timestamp>,
}

/// Decides how many agents a pool should have.
pub fn decide(spec: &AutoscaleSpec, load: &Load, calm: Calm) -> Decision {
    let rested = load.scaled_at.map_or(Timestamp::ZERO, |at| at.after(spec.cooldown));
    if load.waiting > 0 { grow(spec, load, rested) } else { shrink(spec, load, calm, rested) }
}

fn grow(spec: &AutoscaleSpec, load: &Load, rested: Timestamp) -> Decision {
    if load.target >= load.max {
        return Decision::default();
    }
    let waiting = load.waiting;
    let wanted = waiting.div_ceil(u64::from(spec.waiting_per_agent.max(1)));
    let up = |by: u64| -> u32 {
        let to = u64::from(load.target) + by.min(u64::from(spec.step_up));
        u32::try_from(to).unwrap_or(u32::MAX).min(load.max)
    };
    if load.target == 0 {
        let reason = format!("{} and there is no agent", tasks(waiting));
        return Decision { change: Some((up(wanted.max(1)), reason)), look_at: None };
    }
    let many = wanted.checked_sub(u64::from(load.target)).filter(|more| *more > 0);
    let late_at = spec.age.zip(load.oldest).map(|(age, oldest)| oldest.after(age));
    let is_late = late_at.is_some_and(|at| at <= load.now) && load.free == 0 && load.coming == 0;
    let change = match many {
        Some(more) => {
            let (per, agents) = (spec.waiting_per_agent, load.target);
            Some((up(more), format!("{} for {agents} agents; {per} for each are meant", tasks(waiting))))
        }
        // Those who are there are no help, however few tasks there are for each.
        None if load.stranded > 0 => {
            let more = load.stranded.div_ceil(u64::from(spec.waiting_per_agent.max(1)));
            let reason =
                format!("{} that none of its agents may have and another one may", tasks(load.stranded));
            Some((up(more), reason))
        }
        None if is_late => {
            let waited = load.oldest.map(|oldest| load.now.since(oldest)).unwrap_or_default();
            let age = spec.age.unwrap_or_default();
            let reason = format!("the oldest task has waited for {waited:.1?}; {age:?} are meant");
            Some((up(u64::from(spec.step_up)), reason))
        }
        // Whoever is free takes it, whoever comes as well; events tell of both.
        None => return Decision { change: None, look_at: late_at.filter(|at| *at > load.now) },
    };
    if rested > load.now {
        return Decision { change: None, look_at: Some(rested) };
    }
    Decision { change, look_at: None }
}

fn shrink(spec: &AutoscaleSpec, load: &Load, calm: Calm, rested: Timestamp) -> Decision {
    let zero_at = calm.idle_since.zip(spec.zero_after).map(|(since, after)| since.after(after));
    let may_be_none = load.min == 0 && zero_at.is_some_and(|at| at <= load.now);
    // One that has nothing to do stays until the pool has been without work for long enough.
    let floor = load.min.max(u32::from(!may_be_none)).max(load.busy);
    let spare = load.target.saturating_sub(floor);
    if spare == 0 {
        let waits_for_zero = load.min == 0 && load.target == 1;
        return Decision { change: None, look_at: zero_at.filter(|at| waits_for_zero && *at > load.now) };
    }
    let Some(since) = calm.spare_since else { return Decision::default() };
    let at = rested.max(since.after(spec.cooldown));
    if may_be_none && rested <= load.now {
        let idle = calm.idle_since.map(|since| load.now.since(since)).unwrap_or_default();
        let to = load.target.saturating_sub(spec.step_down.max(1));
        return Decision { change: Some((to, format!("it has had no work for {idle:.1?}"))), look_at: None };
    }
    if at > load.now {
        return Decision { change: None, look_at: Some(at) };
    }
    let to = load.target - spare.min(spec.step_down.max(1));
    let (busy, agents, cooldown) = (load.busy, load.target, spec.cooldown);
    let reason = format!("nothing waits and {busy} of {agents} agents are busy, for {cooldown:?} at least");
    Decision { change: Some((to, reason)), look_at: None }
}

fn tasks(count: u64) -> String {
    if count == 1 { "1 task waits".to_owned() } else { format!("{count} tasks wait") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn spec() -> AutoscaleSpec {
        AutoscaleSpec {
            waiting_per_agent: 2,
            age: Some(Duration::from_secs(10)),
            step_up: 3,
            step_down: 2,
            cooldown: Duration::from_secs(5),
            zero_after: Some(Duration::from_secs(60)),
        }
    }

    fn load(waiting: u64, target: u32, busy: u32) -> Load {
        let oldest = (waiting > 0).then(|| at(NOW));
        let unfinished = waiting + u64::from(busy);
        Load { now: at(NOW), waiting, oldest, unfinished, target, max: 10, busy, ..Load::default() }
    }

    fn calm_since(millis: u64, load: &Load) -> Calm {
        let mut calm = Calm::default();
        calm.note(&Load { now: at(millis), ..*load });
        calm
    }

    fn to(decision: &Decision) -> Option<u32> {
        decision.change.as_ref().map(|(to, _)| *to)
    }

    #[test]
    fn pool_without_agents_gets_some_at_once_and_no_more_than_a_step() {
        let resting = Load { scaled_at: Some(at(NOW)), ..load(1, 0, 0) };
        assert_eq!(to(&decide(&spec(), &resting, Calm::default())), Some(1));
        assert_eq!(to(&decide(&spec(), &load(100, 0, 0), Calm::default())), Some(3));
    }

    #[test]
    fn pool_grows_for_many_waiting_tasks_and_says_why() {
        let decision = decide(&spec(), &load(5, 2, 2), Calm::default());
        let reason = "5 tasks wait for 2 agents; 2 for each are meant".to_owned();
        assert_eq!(decision, Decision { change: Some((3, reason)), look_at: None });
        assert_eq!(to(&decide(&spec(), &load(4, 2, 2), Calm::default())), None);
        assert_eq!(to(&decide(&spec(), &load(900, 9, 9), Calm::default())), Some(10));
        assert_eq!(to(&decide(&spec(), &load(900, 10, 10), Calm::default())), None);
    }

    #[test]
    fn pool_grows_for_old_work_only_while_nobody_is_free_or_comes() {
        let young = load(1, 2, 2);
        assert_eq!(decide(&spec(), &young, Calm::default()).look_at, Some(at(NOW + 10_000)));
        let old = Load { oldest: Some(at(NOW - 12_000)), ..young };
        let decision = decide(&spec(), &old, Calm::default());
        assert_eq!(
            decision.change,
            Some((5, "the oldest task has waited for 12.0s; 10s are meant".to_owned()))
        );
        for helped in [Load { free: 1, ..old }, Load { coming: 1, ..old }] {
            assert_eq!(decide(&spec(), &helped, Calm::default()), Decision::default());
        }
    }

    #[test]
    fn pool_grows_for_work_that_none_of_its_agents_may_have_though_they_are_free() {
        let stranded = Load { stranded: 1, free: 2, ..load(1, 2, 0) };
        let decision = decide(&spec(), &stranded, Calm::default());
        let reason = "1 task waits that none of its agents may have and another one may".to_owned();
        assert_eq!(decision, Decision { change: Some((3, reason)), look_at: None });
        assert_eq!(to(&decide(&spec(), &Load { max: 2, ..stranded }, Calm::default())), None);
        let resting = Load { scaled_at: Some(at(NOW - 1000)), ..stranded };
        assert_eq!(decide(&spec(), &resting, Calm::default()).look_at, Some(at(NOW + 4000)));
    }

    #[test]
    fn nothing_changes_within_the_cooldown_and_is_looked_at_again_after_it() {
        let resting = Load { scaled_at: Some(at(NOW - 1000)), ..load(50, 2, 2) };
        let expected = Decision { change: None, look_at: Some(at(NOW + 4000)) };
        assert_eq!(decide(&spec(), &resting, Calm::default()), expected);
    }

    #[test]
    fn spare_agents_leave_after_the_cooldown_and_busy_ones_stay() {
        let load = load(0, 6, 3);
        let decision = decide(&spec(), &load, calm_since(NOW - 1000, &load));
        assert_eq!(decision, Decision { change: None, look_at: Some(at(NOW + 4000)) });
        assert_eq!(to(&decide(&spec(), &load, calm_since(NOW - 5000, &load))), Some(4));
        let nearly = Load { busy: 5, ..load };
        assert_eq!(to(&decide(&spec(), &nearly, calm_since(NOW - 5000, &nearly))), Some(5));
    }

    #[test]
    fn last_agent_leaves_when_there_was_no_work_for_long_enough() {
        let load = load(0, 1, 0);
        let waits = decide(&spec(), &load, calm_since(NOW - 10_000, &load));
        assert_eq!(waits, Decision { change: None, look_at: Some(at(NOW + 50_000)) });
        assert_eq!(to(&decide(&spec(), &load, calm_since(NOW - 60_000, &load))), Some(0));
        let never = AutoscaleSpec { zero_after: None, ..spec() };
        assert_eq!(decide(&never, &load, calm_since(0, &load)), Decision::default());
        // What backs off will be work again.
        let backing_off = Load { unfinished: 1, ..load };
        assert_eq!(to(&decide(&spec(), &backing_off, calm_since(0, &backing_off))), None);
    }

    proptest! {
        #[test]
        fn the_target_stays_within_its_bounds_moves_by_a_step_at_most_and_leaves_nobody_who_works(
            (waiting, backing_off, busy) in (0_u64..50, 0_u64..3, 0_u32..12),
            (min, more, target) in (0_u32..5, 0_u32..8, 0_u32..12),
            (step_up, step_down, per) in (1_u32..5, 1_u32..5, 1_u32..5),
            (age, zero, cooldown) in (prop::option::of(1_u64..20_000), prop::option::of(1_u64..20_000), 0_u64..9000),
            (oldest, scaled, calm) in (0_u64..30_000, prop::option::of(0_u64..20_000), 0_u64..40_000),
        ) {
            let max = (min + more).max(1);
            let target = target.clamp(min, max);
            let busy = busy.min(target);
            let spec = AutoscaleSpec {
                waiting_per_agent: per,
                age: age.map(Duration::from_millis),
                step_up,
                step_down,
                cooldown: Duration::from_millis(cooldown),
                zero_after: zero.map(Duration::from_millis),
            };
            let load = Load {
                now: at(NOW),
                waiting,
                oldest: (waiting > 0).then(|| at(NOW - oldest)),
                unfinished: waiting + backing_off + u64::from(busy),
                target,
                min,
                max,
                busy,
                scaled_at: scaled.map(|ago| at(NOW - ago)),
                ..Load::default()
            };
            let calm = calm_since(NOW - calm, &load);
            let decision = decide(&spec, &load, calm);
            prop_assert!(decision.look_at.is_none_or(|at| at > load.now), "{:?}", decision);
            prop_assert!(decision.change.is_none() || decision.look_at.is_none());
            if let Some((to, reason)) = &decision.change {
                prop_assert!(!reason.is_empty() && *to != target);
                prop_assert!((min..=max).contains(to), "{} is not in {}..={}", to, min, max);
                prop_assert!(*to >= busy);
                prop_assert!(*to <= target + step_up && *to + step_down >= target);
                prop_assert_eq!(*to > target, waiting > 0);
                let rests = scaled.is_some_and(|ago| ago < cooldown);
                prop_assert!(!rests || target == 0, "it changed within the cooldown");
            } else if target == 0 {
                prop_assert_eq!(waiting, 0, "nobody comes for what waits");
            }
        }
    }
}
