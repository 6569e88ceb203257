//! Restart with an emptied disk, T27: whoever has forgotten its votes must not vote again under the same name.

use std::collections::BTreeSet;

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, s, victim};

#[test]
fn a_node_whose_disk_was_emptied_comes_back_as_another() {
    alone(|| {
        let story = Scenario::of(421)
            .lasts(s(16))
            .at_sight(s(6), |scene| Fault::EmptyDisk { node: scene.leader(), down: s(1) });
        let outcome = holds(story);
        let (node, emptied) = (victim(&outcome), outcome.injected(Kind::EmptyDisk)[0]);
        let numbers: Vec<(bool, u64)> = outcome
            .history
            .iter()
            .filter_map(|record| match record.fact {
                Fact::Admitted { number } => Some((record.at > emptied, number)),
                _ => None,
            })
            .collect();
        let again: Vec<u64> = numbers.iter().filter(|(after, _)| *after).map(|(_, number)| *number).collect();
        let [number] = again[..] else { panic!("it is admitted once more: {numbers:?}") };
        let before: BTreeSet<u64> =
            numbers.iter().filter(|(after, _)| !after).map(|(_, number)| *number).collect();
        assert!(
            number > 3 && !before.contains(&number),
            "under a number that nobody had: {number} of {before:?}"
        );
        assert!(outcome.count(|fact| matches!(fact, Fact::Started { life: 2 })) == 1);
        assert_states_agree(&outcome, &[node]);
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
