//! Disk full, T12.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, holds, s};

#[test]
fn a_full_disk_refuses_work_and_serves_again_when_there_is_room() {
    alone(|| {
        let story = Scenario::of(425)
            .nodes(1)
            .lasts(s(14))
            .at(s(5), Fault::FullDisk { node: 1, lasts: s(4), bytes: 0 });
        let outcome = holds(story);
        let (full, healed) = (outcome.injected(Kind::FullDisk)[0], outcome.healed(Kind::FullDisk)[0]);
        let refused = outcome.facts(|fact| {
            matches!(fact, Fact::Answered { answer: Answer::Refused { .. } | Answer::Failed(_), .. })
                || matches!(fact, Fact::NodeFailed { .. })
        });
        let met = refused.filter(|record| record.at >= full && record.at <= healed + s(1)).count();
        assert!(met > 0, "nobody noticed the full disk");
        assert!(acknowledged(&outcome, s(1), full) > 5);
        assert!(acknowledged(&outcome, healed + s(2), s(14)) > 5, "it serves again");
        assert_nothing_lost(&outcome);
    });
}
