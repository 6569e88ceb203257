//! Power loss of the whole room, T5 (and T3): nobody is left who could remember for the others.

use std::time::Duration;

use synod_simulations::Scenario;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, holds, power_loss, s, told_by};

#[test]
fn acknowledged_work_survives_a_power_loss_of_all_nodes() {
    alone(|| {
        let mut story = Scenario::of(402).lasts(s(16));
        for node in 1..=3 {
            story = story.at(s(6), power_loss(node, s(3)));
        }
        let outcome = holds(story);
        let lost = told_by(&outcome, |fact| matches!(fact, Fact::Lost { .. }));
        assert_eq!(lost.len(), 3);
        let (first, last) = (lost[0].0, lost[2].0);
        assert!(last - first < s(3), "all were down at once");
        let unsynced =
            outcome.count(|fact| matches!(fact, Fact::Lost { unsynced, kept: 0 } if *unsynced > 0));
        assert!(unsynced > 0, "something was lost");
        assert!(acknowledged(&outcome, s(4), first) > 0, "work was acknowledged just before");
        assert_eq!(
            acknowledged(&outcome, last, last + Duration::from_secs(2)),
            0,
            "nobody answers in the dark"
        );
        assert!(acknowledged(&outcome, last + s(3), s(16)) > 0, "work is taken again");
        assert_nothing_lost(&outcome);
    });
}
