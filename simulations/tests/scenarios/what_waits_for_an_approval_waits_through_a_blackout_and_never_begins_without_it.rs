//! Approvals are durable: they are asked for, and decided about, while all machines lose their power and
//! the leader is cut off later.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use synod::node::domain::event::Governing;

use super::support::{assert_nothing_lost, cut_off, governed, held_back, holds, ms, power_loss, s};

#[test]
fn what_waits_for_an_approval_waits_through_a_blackout_and_never_begins_without_it() {
    alone(|| {
        let story = Scenario::of(705)
            .asks("submits,approvals".parse().unwrap())
            .lasts(s(24))
            .at(s(9), power_loss(1, ms(800)))
            .at(s(9), power_loss(2, ms(800)))
            .at(s(9), power_loss(3, ms(800)))
            .at_sight(s(16), |scene| cut_off(scene.leader(), s(4)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), 3);
        assert!(held_back(&outcome, "approval") > 0, "nothing waited for an approval");
        for what in [Governing::ApprovalRequested, Governing::ApprovalGranted] {
            assert!(governed(&outcome, what) > 0, "{}", what.as_str());
        }
        assert_nothing_lost(&outcome);
    });
}
