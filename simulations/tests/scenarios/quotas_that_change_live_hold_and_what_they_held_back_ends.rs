//! A quota is lowered and raised over more work than it lets through while the leader is cut off and while it dies, and is
//! taken back at the end: all that it held back is done then.

use synod::node::domain::event::{Event, Governing};
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, governed, holds, power_loss, s};

#[test]
fn quotas_that_change_live_hold_and_what_they_held_back_ends() {
    alone(|| {
        let story = Scenario::of(607)
            .asks("submits,quotas".parse().unwrap())
            .lasts(s(24))
            .at_sight(s(7), |scene| cut_off(scene.leader(), s(4)))
            .at_sight(s(15), |scene| power_loss(scene.leader(), s(3)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Partition).len(), outcome.injected(Kind::Crash).len()), (1, 1));
        assert!(governed(&outcome, Governing::QuotaPut) > 5);
        // It would have six, and has them where nobody holds it to less.
        let mut targets = outcome.events().filter_map(|(_, event)| match event {
            Event::PoolChanged { pool, target } if pool.as_str().starts_with("let-") => Some(*target),
            _ => None,
        });
        assert!(targets.any(|target| target == 2), "the pool never came to its bound");
        assert_eq!(
            most_in_hand(outcome.events().map(|(_, event)| event)),
            3,
            "the workspace never came to its bound"
        );
        assert_nothing_lost(&outcome);
    });
}

/// Returns how many tasks of the workspace with the quota were in hand at most, before it was taken back.
fn most_in_hand<'a>(events: impl Iterator<Item = &'a Event>) -> usize {
    let (mut held, mut most) = (std::collections::BTreeSet::new(), 0);
    for event in events {
        match event {
            Event::TaskLeased { task, workspace, .. } if workspace.as_str() == "tenant-3" => {
                held.insert(*task);
                most = most.max(held.len());
            }
            Event::TaskReturned { task, .. } | Event::TaskEnded { task, .. } => {
                held.remove(task);
            }
            Event::Governed { what: Governing::QuotaPut, detail, .. } if **detail == *"none" => break,
            _ => {}
        }
    }
    most
}
