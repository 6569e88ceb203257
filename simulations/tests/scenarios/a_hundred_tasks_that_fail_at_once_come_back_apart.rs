//! Retry storm: everything fails in one moment. What is tried again comes back spread over time, and new work is taken
//! meanwhile.

use std::collections::BTreeSet;

use synod::node::domain::retry::RetryPolicy;
use synod_simulations::Scenario;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, longest_silence, ms, s, work};

#[test]
fn a_hundred_tasks_that_fail_at_once_come_back_apart() {
    alone(|| {
        let patient = || RetryPolicy { max_attempts: 4, initial: s(1), factor_percent: 200, max: s(8) };
        let story = Scenario::of(429)
            .without_ordinary_clients()
            .lasts(s(14))
            .client("storm", 1, move |seat| async move {
                seat.open_pools().await;
                for _ in 0..100 {
                    seat.submit(
                        work(INSIDE, &[(Act::Fail, 0), (Act::Fail, 0), (Act::Succeed, 0)]).retry(patient()),
                    )
                    .await?;
                }
                Ok(())
            })
            .client("steady", 2, |seat| async move {
                while seat.is_busy() {
                    seat.submit(work(INSIDE, &[(Act::Succeed, 20)])).await?;
                    sleep(ms(100)).await;
                }
                Ok(())
            });
        let outcome = holds(story);
        let third = outcome.facts(|fact| matches!(fact, Fact::Acts { attempt: 3, .. }));
        let tenths: BTreeSet<u128> = third.map(|record| record.at.as_millis() / 100).collect();
        assert!(tenths.len() >= 10, "the third attempts come in {} tenths of a second", tenths.len());
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::Acts { attempt: 3, .. })), 100);
        let silence = longest_silence(&outcome, s(3), s(14));
        assert!(silence < s(2), "no new work was taken for {silence:?}");
        assert_nothing_lost(&outcome);
    });
}
