//! Over a slow link a node that leaves does not hear that the others have removed it, and nobody talks to it any more. It
//! has left all the same, says so, and its machine joins again. As seed 478 of three nodes found.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, holds, ms, s, told_by, victim};

#[test]
fn a_node_that_does_not_hear_that_it_was_removed_has_left() {
    alone(|| {
        let slow = |one, other| Fault::SlowLink { lasts: s(14), one, other, latency: ms(400) };
        let story = Scenario::of(478)
            .lasts(s(20))
            .at_sight(s(4), move |scene| slow(scene.leader(), scene.follower()))
            .at_sight(s(5), |scene| Fault::Leave { node: scene.follower() });
        let outcome = holds(story);
        let (node, left) = (victim(&outcome), outcome.injected(Kind::Leave)[0]);
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::NodeFailed { .. })), 0);
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        let again: Vec<u64> = admitted.iter().filter(|(at, _)| *at > left).map(|(_, node)| *node).collect();
        assert_eq!(again, [node]);
        assert_nothing_lost(&outcome);
    });
}
