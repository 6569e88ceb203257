//! A swallowed fsync error, T11: after EIO nobody knows what is on the disk, so the process ends and asks it anew.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, holds, s, told_by};

#[test]
fn a_failed_sync_ends_the_node_and_nothing_is_acknowledged_on_it() {
    alone(|| {
        // Which sync fails is chance, and one of the mirror's costs nothing but the mirror: some more, and the log's is among them.
        let mut story = Scenario::of(404).lasts(s(14));
        for at in [6, 7, 8, 9] {
            story = story.at_sight(s(at), |scene| Fault::FailedSync { node: scene.leader() });
        }
        let outcome = holds(story);
        let failed = told_by(&outcome, |fact| matches!(fact, Fact::NodeFailed { .. }));
        assert!(!failed.is_empty(), "no node has ended");
        let starts = told_by(&outcome, |fact| matches!(fact, Fact::Starting { .. }));
        let answers =
            told_by(&outcome, |fact| matches!(fact, Fact::Answered { answer: Answer::Submitted(_), .. }));
        for (ended, node) in failed {
            assert!(ended >= outcome.injected(Kind::FailedSync)[0]);
            // Between its end and its next start it answers nothing.
            let next = starts.iter().find(|(at, which)| *which == node && *at > ended);
            let next = next.expect("it is started again").0;
            assert!(!answers.iter().any(|(at, which)| *which == node && *at > ended && *at < next));
        }
        assert_nothing_lost(&outcome);
    });
}
