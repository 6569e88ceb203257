//! Budgets, approvals, limits, resources and the audit log at once, over one pool, with crashes and partitions that are
//! drawn besides.

use synod_simulations::Scenario;
use synod_simulations::faults::{Kind, Kinds};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, held_back, holds, s};

#[test]
fn everything_that_governs_holds_together_while_machines_come_and_go() {
    alone(|| {
        let story = Scenario::of(606)
            .asks("submits,budgets,approvals,limits,resources,audits".parse().unwrap())
            .lasts(s(24))
            .draws(Kinds(vec![Kind::Crash, Kind::Partition, Kind::Restart]));
        let outcome = holds(story);
        for on in ["budget", "approval", "limit", "resource"] {
            assert!(held_back(&outcome, on) > 0, "nothing was held back by a {on}");
        }
        assert_nothing_lost(&outcome);
    });
}
