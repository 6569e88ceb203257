//! Power loss of one while the others pause, one after the other, T6: who is back first knows least, and must not make
//! the others forget.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, ms, power_loss, s,
};

#[test]
fn one_loses_its_power_while_the_others_stand_still() {
    alone(|| {
        let story = Scenario::of(436)
            .lasts(s(18))
            .at(ms(5_000), Fault::Pause { node: 3, lasts: ms(3_500) })
            .at(ms(6_500), power_loss(1, ms(1_500)))
            .at(ms(8_600), Fault::Pause { node: 2, lasts: s(4) });
        let outcome = holds(story);
        assert_eq!(outcome.healed(Kind::Pause).len(), 2);
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::Lost { unsynced: 1.., kept: 0 })), 1);
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
