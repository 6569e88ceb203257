//! Double claim, T20: one agent asks at all nodes at once, over links that break, and asks again what had no answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use synod::node::domain::task::Phase;
use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;
use synod_simulations::scenario::{Lease, OUTSIDE};
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn two_claims_at_once_never_get_one_lease() {
    alone(|| {
        let leases = Arc::<Mutex<Vec<Lease>>>::default();
        let mut story = Scenario::of(411).without_ordinary_clients().lasts(s(12)).client(
            "submitter",
            1,
            |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    let _ = seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await;
                    sleep(ms(60)).await;
                }
                Ok(())
            },
        );
        for node in 1..=3 {
            let all = Arc::clone(&leases);
            story = story.client("twin", node, move |seat| {
                let all = Arc::clone(&all);
                async move {
                    let _ = seat.register(OUTSIDE, 2).await;
                    loop {
                        match seat.claim(2).await {
                            Ok(given) => all.lock().extend(given),
                            Err(_) => drop(seat.register(OUTSIDE, 2).await),
                        }
                        // Whoever of the three comes first says it, at whichever node.
                        let mine = all.lock().pop();
                        if let Some(lease) = mine
                            && seat.complete(&lease, json!({})).await.is_err()
                        {
                            seat.note(&"not taken");
                        }
                        sleep(ms(40)).await;
                    }
                }
            });
        }
        for at in [3, 4, 5, 7, 8, 10] {
            story = story.at(s(at), Fault::Reconnect { one: at % 3 + 1, other: (at + 1) % 3 + 1 });
        }
        let outcome = holds(story);
        let mut given = BTreeSet::new();
        for record in outcome.facts(|fact| matches!(fact, Fact::Answered { answer: Answer::Claimed(_), .. }))
        {
            let Fact::Answered { answer: Answer::Claimed(leases), .. } = &record.fact else { continue };
            for lease in leases {
                assert!(
                    given.insert(*lease),
                    "{lease:?} was given twice, the second time at {:?}",
                    record.at
                );
            }
        }
        assert!(given.len() > 60, "only {} leases were given", given.len());
        let completed = outcome.ended().values().filter(|phase| **phase == Phase::Completed).count();
        assert!(completed > 60, "only {completed} completed");
        assert_nothing_lost(&outcome);
    });
}
