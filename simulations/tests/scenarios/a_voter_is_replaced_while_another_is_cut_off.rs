//! Replacing a voter during a partition, T26: of five one hears nothing, another's disk is emptied, and its machine is let
//! in as a new voter. The old one is removed, the leader dies soon after, and no two majorities ever stand apart.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, cut_off, holds, killed,
    ms, s, told_by,
};

#[test]
fn a_voter_is_replaced_while_another_is_cut_off() {
    alone(|| {
        let story = Scenario::of(443)
            .nodes(5)
            .lasts(s(24))
            .at(s(7), cut_off(5, s(10)))
            .at(ms(7_500), Fault::EmptyDisk { node: 4, down: ms(500) })
            .once(
                |record| {
                    matches!(record.fact, Fact::Admitted { .. }) && record.node == Some(4) && record.at > s(7)
                },
                ms(1_500),
                |scene| killed(if scene.leader() == 5 { 2 } else { scene.leader() }, s(1)),
            );
        let outcome = holds(story);
        let (cut, healed) = (outcome.injected(Kind::Partition)[0], outcome.healed(Kind::Partition)[0]);
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        let (at, _) = admitted.iter().rev().find(|(_, node)| *node == 4).unwrap();
        assert!(*at > cut && *at < healed, "admitted at {at:?}, cut off from {cut:?} to {healed:?}");
        let removed = outcome.events().filter(|(record, event)| {
            matches!(event, Event::NodeRemoved { .. }) && record.at > cut && record.at < healed
        });
        assert_eq!(removed.count(), 1, "who it was before is removed");
        assert_eq!(outcome.injected(Kind::Crash).len(), 1);
        assert!(acknowledged(&outcome, *at, healed) > 5, "work goes on meanwhile");
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3, 4, 5]);
        assert_nothing_lost(&outcome);
    });
}
