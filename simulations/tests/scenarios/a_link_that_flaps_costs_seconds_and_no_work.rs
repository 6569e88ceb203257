//! Flapping link, T17: every second the link between the leader and a follower is gone for half of it.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, assert_one_leader_a_term, holds, ms, s};

#[test]
fn a_link_that_flaps_costs_seconds_and_no_work() {
    alone(|| {
        let mut story = Scenario::of(418).lasts(s(18));
        for second in 4..14 {
            story = story.at_sight(s(second), |scene| Fault::Partial {
                one: scene.leader(),
                other: scene.follower(),
                lasts: ms(500),
            });
        }
        let outcome = holds(story);
        assert_eq!(outcome.healed(Kind::Partial).len(), 10);
        let served = (4..14).filter(|second| acknowledged(&outcome, s(*second), s(second + 1)) > 0).count();
        assert!(served >= 9, "work was acknowledged in {served} of ten seconds");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
