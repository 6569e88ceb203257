//! Bit flips in the log, T9 and T10: a member that cannot trust its log does not vote with it; it comes back as another.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Part};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, killed, ms, s, told_by, victim};

#[test]
fn a_flipped_bit_in_the_log_makes_a_node_refuse_and_begin_anew() {
    alone(|| {
        let mut story = Scenario::of(407).lasts(s(16));
        // In many places, for what lies before the last checkpoint is read by nobody.
        for number in 0..60 {
            story = story.at_sight(s(6), move |scene| Fault::BitFlip {
                node: scene.follower(),
                part: Part::Log,
                position: 977 + 2_003 * number,
            });
        }
        let story = story.once(
            |record| matches!(&record.fact, Fact::Injected(Fault::BitFlip { .. })),
            ms(100),
            |scene| match scene.cause.as_ref().map(|record| &record.fact) {
                Some(Fact::Injected(Fault::BitFlip { node, .. })) => killed(*node, ms(300)),
                other => panic!("{other:?}"),
            },
        );
        let outcome = holds(story);
        let node = victim(&outcome);
        let failed = told_by(&outcome, |fact| matches!(fact, Fact::NodeFailed { .. }));
        assert!(failed.iter().any(|(_, which)| *which == node), "it refuses to serve: {failed:?}");
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        let (refused, _) = failed[0];
        assert!(
            admitted.iter().any(|(at, which)| *which == node && *at > refused),
            "with an empty disk it joins as another: {admitted:?}"
        );
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
