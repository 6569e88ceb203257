//! Agents that hang, that do not hear when they are stopped, that answer late and twice: inside and outside.

use std::collections::BTreeMap;

use serde_json::json;
use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;
use synod_simulations::scenario::{INSIDE, OUTSIDE};
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn agents_that_answer_late_twice_or_never_end_every_task_once() {
    alone(|| {
        let story = Scenario::of(433)
            .without_ordinary_clients()
            .lasts(s(16))
            .client("submitter", 1, |seat| async move {
                seat.open_pools().await;
                for _ in 0..4 {
                    seat.submit(work(INSIDE, &[(Act::Hang, 0), (Act::Succeed, 0)])).await?;
                    seat.submit(work(INSIDE, &[(Act::HangDeaf, 0), (Act::Succeed, 0)])).await?;
                    seat.submit(work(INSIDE, &[(Act::HangDeaf, 0)])).await?;
                    seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await?;
                    seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await?;
                    sleep(ms(200)).await;
                }
                Ok(())
            })
            .client("late", 2, |seat| async move {
                seat.register(OUTSIDE, 2).await?;
                while seat.is_busy() {
                    for lease in seat.claim(2).await.unwrap_or_default() {
                        sleep(ms(2_500)).await;
                        let _ = seat.complete(&lease, json!({})).await;
                        let _ = seat.complete(&lease, json!({})).await;
                    }
                    sleep(ms(100)).await;
                }
                Ok(())
            })
            .client("prompt", 3, |seat| async move {
                sleep(s(3)).await;
                seat.register(OUTSIDE, 1).await?;
                loop {
                    for lease in seat.claim(1).await.unwrap_or_default() {
                        let _ = seat.complete(&lease, json!({})).await;
                        let _ = seat.complete(&lease, json!({})).await;
                    }
                    sleep(ms(100)).await;
                }
            });
        let outcome = holds(story);
        let mut ends = BTreeMap::new();
        for (_, event) in outcome.events() {
            if let Event::TaskEnded { task, .. } = event {
                *ends.entry(*task).or_insert(0) += 1;
            }
        }
        assert_eq!(ends.len(), 20);
        assert!(ends.values().all(|count| *count == 1), "{ends:?}");
        let hung = outcome.count(|fact| matches!(fact, Fact::Acts { act: Act::Hang | Act::HangDeaf, .. }));
        // Whoever is given a task again while its deaf attempt at it is being stopped waits for that, and may lose the
        // lease before it begins: each of the four that are always deaf may miss one.
        assert!(hung >= 4 + 4 + 12, "{hung} attempts hung");
        let late =
            outcome.count(|fact| matches!(fact, Fact::Answered { answer: Answer::Refused { .. }, .. }));
        assert!(late > 0, "nobody came too late");
        assert_nothing_lost(&outcome);
    });
}
