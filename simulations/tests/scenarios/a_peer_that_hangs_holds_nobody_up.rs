//! Hung peer, T28: it takes connections and never answers.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, holds, led_after, longest_silence, s,
};

#[test]
fn a_peer_that_hangs_holds_nobody_up() {
    alone(|| {
        let story = Scenario::of(419)
            .lasts(s(22))
            .at_sight(s(5), |scene| Fault::HungPeer { node: scene.follower(), lasts: s(5) })
            .at_sight(s(12), |scene| Fault::HungPeer { node: scene.leader(), lasts: s(6) });
        let outcome = holds(story);
        let (hung, healed) = (outcome.injected(Kind::HungPeer), outcome.healed(Kind::HungPeer));
        let silence = longest_silence(&outcome, hung[0], healed[0]);
        assert!(silence < s(2), "with a follower that hangs, nothing was acknowledged for {silence:?}");
        // A leader that hangs is one that is not heard.
        let (_, leader) = led_after(&outcome, hung[1])[0];
        let hangs = outcome.facts(|fact| matches!(fact, Fact::Injected(Fault::HungPeer { .. })));
        let hangs: Vec<u64> = hangs
            .filter_map(|record| match &record.fact {
                Fact::Injected(fault) => fault.node(),
                _ => None,
            })
            .collect();
        assert_eq!(hangs.len(), 2);
        let led_before = outcome.leaders().into_iter().rev().find(|(at, _, _)| *at <= hung[1]);
        assert_eq!(led_before.map(|(_, node, _)| node), Some(hangs[1]), "it was the leader who hung");
        assert_ne!(leader, hangs[1], "another leads in its place");
        assert!(acknowledged(&outcome, hung[1] + s(3), healed[1]) > 3, "nobody took over");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
