//! Zombie completion after lease expiry, T19: an agent is silent for longer than it may, another does the work, and
//! the first says its result all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use synod_simulations::Scenario;
use synod_simulations::history::{Answer, Fact, Request};
use synod_simulations::process::alone;
use synod_simulations::scenario::OUTSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn a_completion_that_comes_after_its_lease_has_ended_does_not_count() {
    alone(|| {
        let has_it = Arc::new(AtomicBool::new(false));
        let other_waits = Arc::clone(&has_it);
        let story = Scenario::of(412)
            .without_ordinary_clients()
            .lasts(s(12))
            .client("zombie", 1, move |seat| {
                let has_it = Arc::clone(&has_it);
                async move {
                    seat.open_pools().await;
                    seat.register(OUTSIDE, 1).await?;
                    seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await?;
                    let given = seat.claim(1).await?;
                    has_it.store(true, Ordering::Relaxed);
                    // Twice as long as its task allows.
                    sleep(s(5)).await;
                    let said = seat.complete(&given[0], json!({ "by": "zombie" })).await;
                    seat.note(&said.is_ok());
                    Ok(())
                }
            })
            .client("worker", 2, move |seat| {
                let has_it = Arc::clone(&other_waits);
                async move {
                    while !has_it.load(Ordering::Relaxed) {
                        sleep(ms(20)).await;
                    }
                    seat.register(OUTSIDE, 1).await?;
                    loop {
                        for lease in seat.claim(1).await? {
                            seat.complete(&lease, json!({ "by": "worker" })).await?;
                        }
                        sleep(ms(100)).await;
                    }
                }
            });
        let outcome = holds(story);
        assert_eq!(outcome.noted("zombie").last().map(|(_, said)| said.as_bool()), Some(Some(false)));
        let late = outcome.facts(|fact| {
            matches!(fact, Fact::Asked { client, request: Request::Complete { attempt: 1, .. }, .. } if &**client == "zombie")
        });
        assert_eq!(late.count(), 1);
        let refused =
            outcome.facts(|fact| matches!(fact, Fact::Answered { answer: Answer::Refused { .. }, .. }));
        assert_eq!(refused.count(), 1, "the late one is refused");
        let task = outcome.acknowledged()[0].task;
        let attempts: Vec<u32> = outcome.attempts(task).into_iter().map(|(_, attempt)| attempt).collect();
        assert_eq!(attempts, [1, 2]);
        let result =
            outcome.facts(|fact| matches!(fact, Fact::Stands(standing) if standing.result_of == Some(2)));
        assert!(result.count() > 0, "the result is that of the second");
        assert_nothing_lost(&outcome);
    });
}
