//! Limit sets are made, changed and removed while work presses against them and the leader is cut off, twice.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use synod::node::domain::event::Governing;

use super::support::{assert_nothing_lost, cut_off, governed, held_back, holds, s};

#[test]
fn limits_that_change_live_hold_while_the_leader_is_cut_off() {
    alone(|| {
        let story = Scenario::of(603)
            .asks("submits,limits".parse().unwrap())
            .lasts(s(24))
            .at_sight(s(7), |scene| cut_off(scene.leader(), s(4)))
            .at_sight(s(15), |scene| cut_off(scene.leader(), s(4)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Partition).len(), 2);
        assert!(held_back(&outcome, "limit") > 20, "nothing was held back");
        assert!(
            governed(&outcome, Governing::LimitPut) > 3 && governed(&outcome, Governing::LimitRemoved) > 0
        );
        assert_nothing_lost(&outcome);
    });
}
