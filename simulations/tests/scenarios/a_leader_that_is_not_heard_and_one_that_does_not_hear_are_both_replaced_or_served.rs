//! One-way partitions, T15: nothing gets through in one direction. Work goes on, and there is no storm of elections.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, assert_one_leader_a_term, holds, s};

#[test]
fn a_leader_that_is_not_heard_and_one_that_does_not_hear_are_both_replaced_or_served() {
    alone(|| {
        let story = Scenario::of(416)
            .lasts(s(24))
            .at_sight(s(5), |scene| Fault::OneWay { from: scene.leader(), to: scene.follower(), lasts: s(7) })
            .at_sight(s(14), |scene| Fault::OneWay {
                from: scene.follower(),
                to: scene.leader(),
                lasts: s(7),
            });
        let outcome = holds(story);
        let (cuts, healed) = (outcome.injected(Kind::OneWay), outcome.healed(Kind::OneWay));
        for (cut, healed) in cuts.iter().zip(&healed) {
            assert!(acknowledged(&outcome, *cut + s(2), *healed) > 5, "no work is taken after {cut:?}");
            let elections = outcome.leaders().iter().filter(|(at, _, _)| at > cut && at <= healed).count();
            assert!(elections < 5, "{elections} elections in {:?}", *healed - *cut);
        }
        assert_eq!(healed.len(), 2);
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
