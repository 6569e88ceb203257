//! What is behind the work breaks down again and again, while the leader dies and another is cut off: breakers open, let
//! nothing begin while they are open and their probes alone when they are half-open, and close; all work ends.

use synod::node::domain::event::Governing;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::{Change, Fact, Request};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, governed, held_back, holds, power_loss, s};

#[test]
fn breakers_open_half_open_and_close_as_they_say_whoever_leads() {
    alone(|| {
        let story = Scenario::of(609)
            .asks("submits,breakers".parse().unwrap())
            .lasts(s(30))
            .at_sight(s(9), |scene| power_loss(scene.leader(), s(2)))
            .at_sight(s(19), |scene| cut_off(scene.leader(), s(4)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Crash).len(), outcome.injected(Kind::Partition).len()), (1, 1));
        for what in [Governing::BreakerOpened, Governing::BreakerHalfOpened, Governing::BreakerClosed] {
            assert!(governed(&outcome, what) > 2, "{}", what.as_str());
        }
        assert!(held_back(&outcome, "breaker") > 5, "nothing was held back by a breaker");
        let resets = |fact: &Fact| {
            matches!(fact, Fact::Asked { request: Request::Govern(Change::ResetBreaker { .. }), .. })
        };
        assert!(outcome.count(resets) > 0, "nobody reset one");
        assert_nothing_lost(&outcome);
    });
}
