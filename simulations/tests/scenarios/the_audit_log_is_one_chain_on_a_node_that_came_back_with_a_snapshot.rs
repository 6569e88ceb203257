//! Audit gap: a node that missed more than the logs of the others hold is given a snapshot, while somebody governs. Its
//! audit log is the one of all others, from its first record on.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, holds, killed, s, told_by, victim};

#[test]
fn the_audit_log_is_one_chain_on_a_node_that_came_back_with_a_snapshot() {
    alone(|| {
        let story = Scenario::of(605)
            .asks("submits,keys,retries,claims,pauses,tokens,limits,audits".parse().unwrap())
            .lasts(s(26))
            .at_sight(s(4), |scene| Fault::Pause { node: scene.follower(), lasts: s(12) })
            .at_sight(s(21), |scene| killed(scene.leader(), s(1)));
        let outcome = holds(story);
        let node = victim(&outcome);
        assert_eq!(outcome.injected(Kind::Crash).len(), 1);
        let applied = outcome.applied(node);
        let (first, last) = (applied.first().copied().unwrap(), applied.last().copied().unwrap());
        let missed = (first..=last).filter(|index| !applied.contains(index)).count();
        assert!(missed > 20, "it got everything from the log, {missed} entries with a snapshot");
        let checked =
            told_by(&outcome, |fact| matches!(fact, Fact::Checked { to, broken: None } if *to > 50));
        assert!([1, 2, 3].iter().all(|node| checked.iter().any(|(_, of)| of == node)), "{checked:?}");
        assert!(checked.iter().any(|(at, of)| *of == node && *at > s(17)));
        assert_nothing_lost(&outcome);
    });
}
