//! Tasks need several resources at once, whose capacities rise and fall, and the machines that do the work lose their power
//! one after the other. Nobody waits for ever, and nothing is in use twice.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use synod::node::domain::event::Governing;

use super::support::{assert_nothing_lost, governed, held_back, holds, power_loss, s};

#[test]
fn resources_are_granted_all_at_once_and_come_back_whoever_dies() {
    alone(|| {
        let story = Scenario::of(604)
            .asks("submits,resources".parse().unwrap())
            .lasts(s(24))
            .at(s(6), power_loss(1, s(1)))
            .at(s(12), power_loss(2, s(1)))
            .at(s(18), power_loss(3, s(1)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), 3);
        assert!(held_back(&outcome, "resource") > 0, "nothing waited for a resource");
        assert!(governed(&outcome, Governing::ResourcePut) > 5);
        assert_nothing_lost(&outcome);
    });
}
