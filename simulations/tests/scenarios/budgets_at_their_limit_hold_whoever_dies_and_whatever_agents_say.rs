//! Budget invariant: work presses against budgets that are changed, raised, reset and removed, agents burn, lie or say
//! nothing, and two leaders die meanwhile. The judge counts for itself; this story says that there was something to count.

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use synod::node::domain::event::Governing;

use super::support::{assert_nothing_lost, governed, held_back, holds, killed, power_loss, s};

#[test]
fn budgets_at_their_limit_hold_whoever_dies_and_whatever_agents_say() {
    alone(|| {
        let story = Scenario::of(601)
            .asks("submits,budgets".parse().unwrap())
            .lasts(s(24))
            .at_sight(s(8), |scene| power_loss(scene.leader(), s(1)))
            .at_sight(s(16), |scene| killed(scene.leader(), s(1)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), 2);
        assert!(held_back(&outcome, "budget") > 10, "nothing waited for a budget");
        for what in [Governing::BudgetPut, Governing::BudgetReset, Governing::BudgetExhausted] {
            assert!(governed(&outcome, what) > 1, "{}", what.as_str());
        }
        assert!(governed(&outcome, Governing::AttemptOverBudget) > 0, "nobody burned more than there was");
        assert!(outcome.count(|fact| matches!(fact, Fact::Spends { .. })) > 20);
        assert_nothing_lost(&outcome);
    });
}
