//! Gossip over a bad network: a third of the datagrams is lost, others come twice. Nobody who lives is taken for gone
//! for good, and the group does not notice.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, led_after, longest_silence, s};

#[test]
fn lost_and_doubled_datagrams_cost_no_node_its_work() {
    alone(|| {
        let story = Scenario::of(437)
            .lasts(s(18))
            .at(s(4), Fault::Datagrams { lasts: s(12), lost: 30, doubled: 20, late: 20 });
        let outcome = holds(story);
        let counted = outcome.facts(|fact| matches!(fact, Fact::Datagrams { .. })).next();
        let Some(Fact::Datagrams { lost, doubled, .. }) = counted.map(|record| &record.fact) else {
            panic!("datagrams are counted")
        };
        assert!(*lost > 50 && *doubled > 20, "{lost} lost, {doubled} doubled");
        let removed =
            outcome.events().filter(|(_, event)| matches!(event, Event::NodeRemoved { .. })).count();
        assert_eq!(removed, 0);
        assert_eq!(led_after(&outcome, s(4)), [], "the group does not go by gossip");
        let silence = longest_silence(&outcome, s(4), s(16));
        assert!(silence < s(2), "nothing was acknowledged for {silence:?}");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
