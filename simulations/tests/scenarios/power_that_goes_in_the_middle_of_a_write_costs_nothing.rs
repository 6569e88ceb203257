//! Machines lose their power while a snapshot is kept, the mirror is written and the log is cut off, before it is done and
//! after.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind, Part};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, ms, s};

#[test]
fn power_that_goes_in_the_middle_of_a_write_costs_nothing() {
    alone(|| {
        let cut =
            |node, part, counts| Fault::CutWrite { node, part, counts, down: ms(700), keep_percent: 50 };
        let story = Scenario::of(479)
            .lasts(s(40))
            .at(s(3), cut(1, Part::Snapshots, false))
            .at(s(3), cut(2, Part::Log, true))
            .at(s(3), cut(3, Part::State, true))
            .at(s(15), cut(1, Part::Log, false))
            .at(s(15), cut(2, Part::Snapshots, true))
            .at(s(15), cut(3, Part::State, false));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::CutWrite).len(), 6);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
