//! Hung peer, T28: it takes connections and never answers.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, holds, led_after, longest_silence, s, victim,
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
        assert!(leader != victim(&outcome) || leader != 0);
        assert!(acknowledged(&outcome, hung[1] + s(3), healed[1]) > 3, "nobody took over");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
