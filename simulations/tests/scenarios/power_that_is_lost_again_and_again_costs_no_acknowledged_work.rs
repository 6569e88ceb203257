//! Power loss under load, again and again, T1 and T2: of whoever leads, and of others before it is back.

use std::collections::BTreeSet;

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, ms, power_loss,
    s,
};

#[test]
fn power_that_is_lost_again_and_again_costs_no_acknowledged_work() {
    alone(|| {
        let mut story = Scenario::of(441).lasts(s(40));
        for round in 0..6 {
            let at = s(5) + s(5) * round;
            story = story
                .at_sight(at, |scene| power_loss(scene.leader(), ms(1_200)))
                // The next of the two that are left, when the first is hardly back.
                .at_sight(at + ms(2_600), |scene| power_loss(scene.follower(), ms(600)));
        }
        let outcome = holds(story);
        let crashes = outcome.injected(Kind::Crash);
        assert_eq!(crashes.len(), 12);
        let lost = outcome.count(|fact| matches!(fact, Fact::Lost { unsynced, kept: 0 } if *unsynced > 0));
        assert!(lost >= 8, "only {lost} of 12 losses of power lost a write");
        let machines: BTreeSet<u64> = outcome
            .facts(|fact| matches!(fact, Fact::Lost { unsynced: 1.., .. }))
            .filter_map(|record| record.node)
            .collect();
        assert!(machines.len() >= 2, "{machines:?}");
        for crash in crashes.chunks(2) {
            assert!(
                acknowledged(&outcome, crash[0], crash[0] + s(5)) > 0,
                "nobody serves after {:?}",
                crash[0]
            );
        }
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
