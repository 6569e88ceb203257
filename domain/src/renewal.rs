//! When an agent that has served for long begins anew.
//!
//! A program that runs for weeks gathers what nobody meant it to: memory, open files, a stale view of its world. A pool
//! may say after how long, or after how many tasks, its agents begin anew. They finish what they have first, and one of
//! a pool goes at a time, so that the pool stays in service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::AgentId;
use crate::time::Timestamp;

/// After what an agent begins anew: whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartAfter {
    /// After it has served for so long.
    pub age: Option<Duration>,
    /// After so many of its attempts have ended.
    pub tasks: Option<u64>,
}

impl RestartAfter {
    /// Says what is wrong with it, if anything is.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.age.is_none() && self.tasks.is_none() {
            return Some(("restart_after", "it names neither an age nor a number of tasks"));
        }
        if self.age.is_some_and(|age| age < Duration::from_secs(1)) {
            return Some(("restart_after.age", "it must be at least a second"));
        }
        if self.tasks == Some(0) {
            return Some(("restart_after.tasks", "it must be at least 1"));
        }
        None
    }
}

/// An agent of a pool, as far as its age matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Veteran {
    /// Which.
    pub agent: AgentId,
    /// When its present life began.
    pub began_at: Timestamp,
    /// How many attempts have ended in its present life.
    pub ended: u64,
    /// Whether it serves; whoever does not is left alone.
    pub serves: bool,
    /// Whether it begins anew already, or is on its way to serve.
    pub on_its_way: bool,
}

/// Whose turn it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Who begins anew, and why.
    pub renew: Option<(AgentId, String)>,
    /// When to look again at the latest, if nothing happens before.
    pub look_at: Option<Timestamp>,
}

/// Decides which agent of a pool begins anew: of those that should, the one that has served longest, and nobody while
/// another is on its way.
pub fn turn(settings: &RestartAfter, veterans: &[Veteran], now: Timestamp) -> Turnover {
    if veterans.iter().any(|veteran| veteran.on_its_way) {
        return Turnover::default();
    }
    let serving = || veterans.iter().filter(|veteran| veteran.serves);
    let old_at = |veteran: &Veteran| settings.age.map(|age| veteran.began_at.after(age));
    let has_done = |veteran: &Veteran| settings.tasks.is_some_and(|tasks| veteran.ended >= tasks);
    let due = serving().filter(|one| has_done(one) || old_at(one).is_some_and(|at| at <= now));
    if let Some(veteran) = due.min_by_key(|veteran| (veteran.began_at, veteran.agent)) {
        let served = now.since(veteran.began_at);
        let reason = if has_done(veteran) {
            format!("it begins anew after {} attempts", veteran.ended)
        } else {
            format!("it begins anew after {served:.0?} of service")
        };
        return Turnover { renew: Some((veteran.agent, reason)), look_at: None };
    }
    Turnover { renew: None, look_at: serving().filter_map(old_at).min() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn veteran(raw: u128, began: u64, ended: u64) -> Veteran {
        let agent = AgentId::from_raw(raw);
        Veteran { agent, began_at: at(began), ended, serves: true, on_its_way: false }
    }

    const BOTH: RestartAfter = RestartAfter { age: Some(Duration::from_secs(100)), tasks: Some(10) };

    #[test]
    fn the_oldest_of_those_that_are_due_begins_anew_and_says_why() {
        let all = [veteran(1, 90, 0), veteran(2, 50, 0), veteran(3, 70, 12)];
        let turnover = turn(&BOTH, &all, at(160));
        let reason = "it begins anew after 110s of service".to_owned();
        assert_eq!(turnover.renew, Some((AgentId::from_raw(2), reason)));
        let turnover = turn(&BOTH, &all, at(140));
        assert_eq!(
            turnover.renew,
            Some((AgentId::from_raw(3), "it begins anew after 12 attempts".to_owned()))
        );
    }

    #[test]
    fn nobody_goes_while_another_is_on_its_way_and_nobody_is_asked_before_its_time() {
        let mut all = [veteran(1, 0, 50), veteran(2, 0, 50)];
        all[1].on_its_way = true;
        assert_eq!(turn(&BOTH, &all, at(500)), Turnover::default());
        let young = [veteran(1, 20, 0), veteran(2, 30, 9)];
        assert_eq!(turn(&BOTH, &young, at(40)), Turnover { renew: None, look_at: Some(at(120)) });
    }

    proptest! {
        #[test]
        fn whoever_begins_anew_serves_and_is_due(
            ages in prop::collection::vec((0_u64..200, 0_u64..20, any::<bool>()), 0..6), now in 200_u64..300,
        ) {
            let veterans: Vec<Veteran> = ages
                .iter()
                .zip(1..)
                .map(|((began, ended, serves), raw)| Veteran { serves: *serves, ..veteran(raw, *began, *ended) })
                .collect();
            let turnover = turn(&BOTH, &veterans, at(now));
            let is_due = |one: &&Veteran| one.serves && (one.ended >= 10 || at(now).since(one.began_at).as_secs() >= 100);
            let due: Vec<AgentId> = veterans.iter().filter(is_due).map(|one| one.agent).collect();
            match turnover.renew {
                Some((agent, _)) => prop_assert!(due.contains(&agent)),
                None => prop_assert!(due.is_empty()),
            }
        }
    }
}
