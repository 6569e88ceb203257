//! Slow disk, T13: half a second for every sync.

use std::time::Duration;

use synod_simulations::Outcome;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, assert_one_leader_a_term, holds, ms, s};

/// The time by which nine of ten submits were answered that were asked for from one time to another.
fn ninth_tenth(outcome: &Outcome, node: impl Fn(u64) -> bool, from: Duration, to: Duration) -> Duration {
    let asked = |at: Duration| at > from && at < to;
    let answers =
        outcome.acknowledged().into_iter().filter(|one| asked(one.asked_at) && one.node.is_some_and(&node));
    let mut took: Vec<Duration> = answers.map(|one| one.at - one.asked_at).collect();
    took.sort_unstable();
    assert!(took.len() > 5, "only {} submits were answered", took.len());
    took[took.len() * 9 / 10]
}

#[test]
fn a_slow_disk_of_a_follower_slows_nobody_and_one_of_the_leader_stops_nobody() {
    alone(|| {
        let story = Scenario::of(424)
            .lasts(s(26))
            .at_sight(s(7), |scene| Fault::SlowDisk { node: scene.follower(), lasts: s(6), sync: ms(500) })
            .at_sight(s(16), |scene| Fault::SlowDisk { node: scene.leader(), lasts: s(7), sync: ms(500) });
        let outcome = holds(story);
        let (slow, healed) = (outcome.injected(Kind::SlowDisk), outcome.healed(Kind::SlowDisk));
        let Some(Fault::SlowDisk { node, .. }) =
            outcome.history.iter().find_map(|record| match &record.fact {
                synod_simulations::history::Fact::Injected(fault) => Some(fault.clone()),
                _ => None,
            })
        else {
            panic!("the first fault is a slow disk")
        };
        let before = ninth_tenth(&outcome, |_| true, s(2), slow[0]);
        // Whoever asks at the slow node waits until that node has what it hears of.
        let during = ninth_tenth(&outcome, |other| other != node, slow[0], healed[0]);
        assert!(during < 2 * before + ms(50), "{before:?} before, {during:?} with a slow follower");
        assert!(acknowledged(&outcome, slow[1] + s(2), healed[1]) > 3, "a slow leader stops everybody");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
