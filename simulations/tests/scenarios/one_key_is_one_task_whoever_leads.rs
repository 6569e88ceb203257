//! Duplicate submit across a failover, T21: the leader dies, and the client sends again elsewhere what it sent before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use synod_simulations::Scenario;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, killed, led_after, ms, s, work};

#[test]
fn one_key_is_one_task_whoever_leads() {
    alone(|| {
        let mut story = Scenario::of(414)
            .without_ordinary_clients()
            .lasts(s(14))
            .at_sight(s(5), |scene| killed(scene.leader(), s(4)));
        let opened = Arc::new(AtomicBool::new(false));
        for node in 1..=3 {
            let opened = Arc::clone(&opened);
            story = story.client("payments", node, move |seat| {
                let opened = Arc::clone(&opened);
                async move {
                    if !opened.swap(true, Ordering::Relaxed) {
                        seat.open_pools().await;
                    }
                    while seat.is_busy() {
                        // The same five, again and again, from before the failover to long after it.
                        for number in 0..5 {
                            let _ = seat
                                .submit_once(
                                    &format!("invoice-{number}"),
                                    work(INSIDE, &[(Act::Succeed, number)]),
                                )
                                .await;
                            sleep(ms(100)).await;
                        }
                    }
                    // Another content under a key that is taken.
                    let _ = seat.submit_once("invoice-0", work(INSIDE, &[(Act::Fail, 7)])).await;
                    Ok(())
                }
            });
        }
        let outcome = holds(story);
        let killed_at = outcome.injected(synod_simulations::faults::Kind::Crash)[0];
        assert!(!led_after(&outcome, killed_at).is_empty(), "another one leads");
        let acknowledged = outcome.acknowledged();
        let tasks = |after: bool| -> BTreeSet<_> {
            acknowledged.iter().filter(|one| (one.at > killed_at) == after).map(|one| one.task).collect()
        };
        assert_eq!(tasks(false).len(), 5);
        assert_eq!(tasks(true), tasks(false), "the same keys are the same tasks");
        let nodes: BTreeSet<_> = acknowledged.iter().filter_map(|one| one.node).collect();
        assert_eq!(nodes.len(), 3, "asked at all nodes");
        let refused = outcome.count(|fact| {
            matches!(
                fact,
                Fact::Answered { answer: Answer::Refused { code: "idempotency_conflict", .. }, .. }
            )
        });
        assert!(refused > 0, "another content under a known key is refused");
        assert_nothing_lost(&outcome);
    });
}
