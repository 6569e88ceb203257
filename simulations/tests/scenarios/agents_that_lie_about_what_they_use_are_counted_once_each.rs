//! Agents that lie about usage: absurd numbers, falling ones, another one when they say their end again, and none at all.
//! The judge adds up; this story says that there was something to add.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::{Answer, Fact, Request};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, holds, killed, s};

#[test]
fn agents_that_lie_about_what_they_use_are_counted_once_each() {
    alone(|| {
        let story = Scenario::of(449)
            .asks("submits,claims".parse().unwrap())
            .lasts(s(25))
            .at_sight(s(9), |scene| killed(scene.leader(), s(1)))
            .at_sight(s(16), |scene| killed(scene.leader(), s(1)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), 2);
        let mut said = std::collections::BTreeMap::<_, usize>::new();
        for record in &outcome.history {
            if let Fact::Uses { task, attempt, .. } = &record.fact {
                *said.entry((*task, *attempt)).or_default() += 1;
            }
        }
        assert!(said.values().filter(|times| **times > 1).count() > 3, "nobody said it twice");
        let used = |is: &dyn Fn(u64) -> bool| {
            outcome.count(|fact| matches!(fact, Fact::Used { usage, .. } if is(usage.cost_microusd)))
        };
        assert!(used(&|cost| cost == u64::MAX) > 0, "no sum ends at the greatest number");
        assert!(used(&|cost| cost > 0 && cost < 1_000_000) > 10 && used(&|cost| cost == 0) > 0);
        let ends = outcome.count(|fact| {
            matches!(fact, Fact::Asked { request: Request::Complete { .. } | Request::Fail { .. }, .. })
        });
        let refused = outcome.count(|fact| {
            matches!(fact, Fact::Answered { answer: Answer::Refused { code: "lease_lost", .. }, .. })
        });
        assert!(ends > 20 && refused > 0, "{ends} ends were said, {refused} of them refused");
        assert_nothing_lost(&outcome);
    });
}
