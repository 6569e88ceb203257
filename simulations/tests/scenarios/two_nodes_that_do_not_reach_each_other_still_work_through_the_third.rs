//! Partial mesh, T16: A and B, B and C reach each other, A and C do not.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, longest_silence, s};

#[test]
fn two_nodes_that_do_not_reach_each_other_still_work_through_the_third() {
    alone(|| {
        let story = Scenario::of(417).lasts(s(18)).at_sight(s(5), |scene| Fault::Partial {
            one: scene.leader(),
            other: scene.follower(),
            lasts: s(10),
        });
        let outcome = holds(story);
        let (cut, healed) = (outcome.injected(Kind::Partial)[0], outcome.healed(Kind::Partial)[0]);
        let silence = longest_silence(&outcome, cut, healed);
        assert!(silence < s(5), "nothing was acknowledged for {silence:?}");
        let elections = outcome.leaders().iter().filter(|(at, _, _)| *at > cut && *at <= healed).count();
        assert!(elections < 5, "{elections} elections in ten seconds");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
