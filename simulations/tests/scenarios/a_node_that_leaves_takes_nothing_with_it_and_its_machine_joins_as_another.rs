//! A node leaves in order, and its machine joins again under another name, number and identity.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, s, told_by, victim,
};

#[test]
fn a_node_that_leaves_takes_nothing_with_it_and_its_machine_joins_as_another() {
    alone(|| {
        let story =
            Scenario::of(432).lasts(s(16)).at_sight(s(6), |scene| Fault::Leave { node: scene.leader() });
        let outcome = holds(story);
        let (node, left) = (victim(&outcome), outcome.injected(Kind::Leave)[0]);
        let removed =
            outcome.events().filter(|(_, event)| matches!(event, Event::NodeRemoved { .. })).count();
        assert_eq!(removed, 1, "the others agreed that it is gone");
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        let again: Vec<u64> = admitted.iter().filter(|(at, _)| *at > left).map(|(_, node)| *node).collect();
        assert_eq!(again, [node]);
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
