//! Duplicate completion on retry, T22: the first answer was lost, so the agent says it again, at another node.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;
use synod_simulations::scenario::{Lease, OUTSIDE};
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn a_completion_that_is_said_twice_counts_once() {
    alone(|| {
        let said = Arc::<Mutex<Vec<Lease>>>::default();
        let heard = Arc::clone(&said);
        let story = Scenario::of(413)
            .without_ordinary_clients()
            .lasts(s(8))
            .client("worker", 1, move |seat| {
                let said = Arc::clone(&said);
                async move {
                    seat.open_pools().await;
                    seat.register(OUTSIDE, 1).await?;
                    for _ in 0..10 {
                        seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await?;
                        for lease in seat.claim(1).await? {
                            seat.complete(&lease, json!({})).await?;
                            said.lock().push(lease.clone());
                            // And once more where it was said.
                            let again = seat.complete(&lease, json!({})).await;
                            seat.note(
                                &again.map_or_else(|error| error.to_string(), |phase| phase.to_string()),
                            );
                        }
                    }
                    Ok(())
                }
            })
            .client("repeater", 2, move |seat| {
                let heard = Arc::clone(&heard);
                async move {
                    while seat.is_busy() {
                        let lease = heard.lock().pop();
                        if let Some(lease) = lease {
                            let again = seat.complete(&lease, json!({})).await;
                            seat.note(
                                &again.map_or_else(|error| error.to_string(), |phase| phase.to_string()),
                            );
                        }
                        sleep(ms(50)).await;
                    }
                    Ok(())
                }
            });
        let outcome = holds(story);
        let ends = outcome.events().filter(|(_, event)| matches!(event, Event::TaskEnded { .. })).count();
        assert_eq!(ends, 10, "each task ends once");
        let again: Vec<String> = outcome
            .noted("worker")
            .into_iter()
            .chain(outcome.noted("repeater"))
            .map(|(_, what)| what.to_string())
            .collect();
        assert_eq!(again.len(), 20, "each was said three times");
        let first = &again[0];
        assert!(again.iter().all(|said| said == first), "every repetition is answered alike: {again:?}");
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::Answered { answer: Answer::Failed(_), .. })), 0);
        assert_nothing_lost(&outcome);
    });
}
