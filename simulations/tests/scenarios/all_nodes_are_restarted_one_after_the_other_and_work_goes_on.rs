//! Rolling upgrade, T35: the next node is stopped only when the one before it takes work again.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, longest_silence, s};

#[test]
fn all_nodes_are_restarted_one_after_the_other_and_work_goes_on() {
    alone(|| {
        let outcome = holds(Scenario::of(431).lasts(s(24)).at(s(4), Fault::RollingRestart));
        let begun = outcome.injected(Kind::RollingRestart)[0];
        let (mut away, mut restarted) = (None, Vec::new());
        for record in outcome.history.iter().filter(|record| record.at >= begun && record.at < s(24)) {
            match &record.fact {
                Fact::Stopped => {
                    assert_eq!(away, None, "a second node stops at {:?}", record.at);
                    away = record.node;
                }
                Fact::Started { life: 2 } => {
                    assert_eq!(away, record.node);
                    restarted.extend(away.take());
                }
                _ => {}
            }
        }
        restarted.sort_unstable();
        assert_eq!(restarted, [1, 2, 3], "each was restarted once");
        let silence = longest_silence(&outcome, begun, s(24));
        assert!(silence < s(4), "nothing was acknowledged for {silence:?}");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
