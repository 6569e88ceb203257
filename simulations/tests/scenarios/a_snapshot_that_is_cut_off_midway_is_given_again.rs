//! Snapshot install loss, T24: a node that missed more than the others' logs hold is given a snapshot, and is killed
//! while it comes.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, ms, power_loss, s, victim};

#[test]
fn a_snapshot_that_is_cut_off_midway_is_given_again() {
    alone(|| {
        let story = Scenario::of(408)
            .lasts(s(30))
            .at_sight(s(4), |scene| Fault::Pause { node: scene.follower(), lasts: s(15) })
            .whenever(
                |record| matches!(&record.fact, Fact::Healed(Fault::Pause { .. })),
                ms(120),
                1,
                |scene| match scene.cause.as_ref().map(|record| &record.fact) {
                    Some(Fact::Healed(Fault::Pause { node, .. })) => power_loss(*node, ms(500)),
                    other => panic!("{other:?}"),
                },
            );
        let outcome = holds(story);
        let node = victim(&outcome);
        assert_eq!(outcome.injected(Kind::Crash).len(), 1);
        let applied = outcome.applied(node);
        let (first, last) = (applied.first().copied().unwrap(), applied.last().copied().unwrap());
        let missed = (first..=last).filter(|index| !applied.contains(index)).count();
        assert!(missed > 50, "it got everything from the log, {missed} entries with a snapshot");
        let lives = outcome.count(|fact| matches!(fact, Fact::Started { life: 2 }));
        assert_eq!(lives, 1);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
