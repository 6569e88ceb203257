//! A pool scales by itself, its agents begin anew and are rolled over to other versions and back, while the leader dies and
//! another is cut off: no work is cut off by it, the pool keeps its bounds, and every rollout comes to its end.

use synod::node::domain::event::{Event, Governing};
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, governed, holds, power_loss, s};

#[test]
fn pools_that_are_tended_keep_their_bounds_and_cut_off_no_work_whoever_leads() {
    alone(|| {
        let story = Scenario::of(611)
            .asks("submits,tending".parse().unwrap())
            .lasts(s(30))
            .at_sight(s(9), |scene| power_loss(scene.leader(), s(2)))
            .at_sight(s(19), |scene| cut_off(scene.leader(), s(4)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Crash).len(), outcome.injected(Kind::Partition).len()), (1, 1));
        assert!(governed(&outcome, Governing::AgentRenewed) > 5);
        assert!(governed(&outcome, Governing::PoolScaled) > 3);
        let (begun, ended) =
            (governed(&outcome, Governing::RolloutBegun), governed(&outcome, Governing::RolloutEnded));
        assert!(begun > 2, "{begun} rollouts began");
        assert!(ended + 1 >= begun, "of {begun} rollouts {ended} ended");
        let mut targets = outcome.events().filter_map(|(_, event)| match event {
            Event::PoolChanged { pool, target } if pool.as_str() == "bed" => Some(*target),
            _ => None,
        });
        assert!(targets.any(|target| target == 3), "the pool never came to its bound");
        assert_nothing_lost(&outcome);
    });
}
