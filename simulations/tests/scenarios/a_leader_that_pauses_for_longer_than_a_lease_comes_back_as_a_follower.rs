//! Pause longer than a lease, T6 and T19: a machine stands still, as under a debugger or a host that is overcommitted,
//! and goes on as if no time had passed, with a term and with leases that are over.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, led_after, ms,
    s, victim,
};

#[test]
fn a_leader_that_pauses_for_longer_than_a_lease_comes_back_as_a_follower() {
    alone(|| {
        let story = Scenario::of(422)
            .lasts(s(18))
            .at_sight(s(5), |scene| Fault::Pause { node: scene.leader(), lasts: s(7) });
        let outcome = holds(story);
        let node = victim(&outcome);
        let (paused, resumed) = (outcome.injected(Kind::Pause)[0], outcome.healed(Kind::Pause)[0]);
        let (_, leader) = led_after(&outcome, paused)[0];
        assert_ne!(leader, node);
        let returned = outcome
            .events()
            .filter(|(record, event)| {
                matches!(event, Event::TaskReturned { .. }) && record.at > paused && record.at < resumed
            })
            .count();
        assert!(returned > 0, "what its agents had in hand went to others");
        let answered = outcome
            .acknowledged()
            .iter()
            .filter(|one| one.node == Some(node) && one.at > paused + ms(10) && one.at < resumed)
            .count();
        assert_eq!(answered, 0, "a machine that stands still answers nothing");
        assert!(acknowledged(&outcome, paused + s(3), resumed) > 5);
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
