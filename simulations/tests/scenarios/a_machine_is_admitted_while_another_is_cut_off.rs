//! Membership change during a partition, T26: a machine joins while a member hears nothing of it, and another is
//! killed meanwhile. Two majorities never stand apart.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, cut_off, holds, killed, ms, s,
    told_by,
};

#[test]
fn a_machine_is_admitted_while_another_is_cut_off() {
    alone(|| {
        let story = Scenario::of(420)
            .lasts(s(20))
            .at_sight(s(5), |scene| cut_off(scene.follower(), s(7)))
            .at(ms(5_500), Fault::Join { node: 4 })
            .once(
                |record| matches!(record.fact, Fact::Admitted { .. }) && record.node == Some(4),
                ms(300),
                |scene| killed(scene.leader(), ms(800)),
            );
        let outcome = holds(story);
        let (cut, healed) = (outcome.injected(Kind::Partition)[0], outcome.healed(Kind::Partition)[0]);
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        let (at, _) = admitted.iter().find(|(_, node)| *node == 4).expect("the machine was admitted");
        assert!(*at > cut && *at < healed, "admitted at {at:?}, cut off from {cut:?} to {healed:?}");
        assert_eq!(outcome.injected(Kind::Crash).len(), 1);
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3, 4]);
        assert_nothing_lost(&outcome);
    });
}
