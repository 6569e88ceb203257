//! Truncated and deleted files on one node, T10: the end of its log, a snapshot, its mirror. It refuses or makes good from
//! the others what it lost, and never what they have.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind, Part};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, ms, s, told_by,
};

#[test]
fn a_file_that_is_gone_or_cut_off_is_noticed_and_made_good() {
    alone(|| {
        let mut story = Scenario::of(448).lasts(s(30));
        for (number, part) in (0..).zip([Part::Snapshots, Part::State, Part::Log]) {
            story =
                story.at(s(7) + s(7) * number, Fault::LostFile { node: 3, part, position: 0, down: ms(500) });
        }
        let outcome = holds(story);
        let lost = outcome.injected(Kind::LostFile);
        assert_eq!(lost.len(), 3);
        let lives = told_by(&outcome, |fact| matches!(fact, Fact::Started { .. }));
        for at in &lost {
            assert!(
                lives.iter().any(|(started, node)| *node == 3 && started > at),
                "it does not come back after {at:?}"
            );
            assert!(acknowledged(&outcome, *at, *at + s(5)) > 5, "the others work on");
        }
        // What its log had acknowledged is gone: it must not vote with what is left.
        let failed = told_by(&outcome, |fact| matches!(fact, Fact::NodeFailed { .. }));
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        assert!(
            failed.iter().any(|(at, node)| *node == 3 && *at > lost[2]),
            "it refuses to serve: {failed:?}"
        );
        assert!(
            admitted.iter().any(|(at, node)| *node == 3 && *at > lost[2]),
            "it joins as another: {admitted:?}"
        );
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
