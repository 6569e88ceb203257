//! Split brain, T14: the leader is cut off with its clients. It may believe for a moment that it leads; it agrees on
//! nothing alone.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, cut_off, holds,
    led_after, ms, s, victim,
};

#[test]
fn a_minority_takes_no_work_and_no_term_has_two_leaders() {
    alone(|| {
        let story = Scenario::of(415).lasts(s(16)).at_sight(s(5), |scene| cut_off(scene.leader(), s(6)));
        let outcome = holds(story);
        let alone = victim(&outcome);
        let (cut, healed) = (outcome.injected(Kind::Partition)[0], outcome.healed(Kind::Partition)[0]);
        // What was on its way back when the wires broke is answered a moment later.
        let there: Vec<_> = outcome
            .acknowledged()
            .into_iter()
            .filter(|one| one.node == Some(alone) && one.at > cut + ms(100) && one.at < healed)
            .collect();
        assert!(there.is_empty(), "acknowledged by nobody but itself: {there:?}");
        let (_, leader) = led_after(&outcome, cut)[0];
        assert_ne!(leader, alone);
        assert!(acknowledged(&outcome, cut + s(3), healed) > 5, "the majority takes work");
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
