//! A new machine joins while work goes on: it is told everything, votes, and is given work.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, killed, s,
    told_by,
};

#[test]
fn a_machine_that_joins_under_load_becomes_a_member_and_works() {
    alone(|| {
        let story = Scenario::of(434)
            .lasts(s(22))
            .at(s(5), Fault::Join { node: 4 })
            .at(s(7), Fault::Join { node: 5 })
            // Three of five are left, two of which were not there at the beginning.
            .at(s(14), killed(1, s(5)))
            .at(s(14), killed(2, s(5)));
        let outcome = holds(story);
        for node in [4, 5] {
            let numbers = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
            assert_eq!(numbers.iter().filter(|(_, of)| *of == node).count(), 1, "n{node} is admitted once");
        }
        let acts = told_by(&outcome, |fact| matches!(fact, Fact::Acts { .. }));
        for node in [4, 5] {
            assert!(acts.iter().any(|(_, of)| *of == node), "n{node} was given no work");
        }
        let killed = outcome.injected(Kind::Crash)[1];
        assert!(
            acknowledged(&outcome, killed + s(3), killed + s(5)) > 0,
            "they are a majority with the third"
        );
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[3, 4, 5]);
        assert_nothing_lost(&outcome);
    });
}
