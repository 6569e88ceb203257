//! Growing and shrinking under load: a machine joins, another leaves for good. What it had goes to others, and the
//! majority is one of those who are left.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, killed, s,
    told_by,
};

#[test]
fn a_machine_that_stays_out_is_not_waited_for() {
    alone(|| {
        let story = Scenario::of(435)
            .lasts(s(24))
            .at(s(4), Fault::Join { node: 4 })
            .at(s(9), Fault::StayOut { node: 2 })
            // Two of the three that are left; of four they would be none.
            .once(|record| record.fact == Fact::Gone, s(2), |_| killed(1, s(5)));
        let outcome = holds(story);
        let out = outcome.injected(Kind::StayOut)[0];
        let gone = told_by(&outcome, |fact| matches!(fact, Fact::Gone));
        let [(gone, 2)] = gone[..] else { panic!("one machine has gone, in order: {gone:?}") };
        assert!(gone > out);
        let after =
            outcome.history.iter().filter(|record| record.node == Some(2) && record.at > gone).count();
        assert_eq!(after, 0, "something is heard of it after it has gone");
        let killed = outcome.injected(Kind::Crash)[0];
        assert!(acknowledged(&outcome, killed + s(2), killed + s(5)) > 0, "the two that are left serve");
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 3, 4]);
        assert_nothing_lost(&outcome);
    });
}
