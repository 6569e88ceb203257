//! Cancel against complete, T22: both come in the same moment, from two nodes, over and over.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use synod::node::domain::event::Event;
use synod::node::domain::task::Phase;
use synod_simulations::Scenario;
use synod_simulations::process::alone;
use synod_simulations::scenario::{Lease, OUTSIDE};
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn calling_work_off_while_it_is_done_ends_it_once() {
    alone(|| {
        let begun = Arc::<Mutex<Vec<Lease>>>::default();
        let called_off = Arc::clone(&begun);
        let story = Scenario::of(438)
            .without_ordinary_clients()
            .lasts(s(14))
            .client("worker", 1, move |seat| {
                let begun = Arc::clone(&begun);
                async move {
                    seat.open_pools().await;
                    seat.register(OUTSIDE, 1).await?;
                    let mut chance = seat.chance();
                    while seat.is_busy() {
                        seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await?;
                        for lease in seat.claim(1).await? {
                            begun.lock().push(lease.clone());
                            sleep(chance.millis(0, 60)).await;
                            let _ = seat.complete(&lease, json!({})).await;
                        }
                    }
                    Ok(())
                }
            })
            .client("canceller", 2, move |seat| {
                let begun = Arc::clone(&called_off);
                async move {
                    while seat.is_busy() {
                        let lease = begun.lock().pop();
                        if let Some(lease) = lease {
                            let _ = seat.cancel(lease.task).await;
                        }
                        sleep(ms(10)).await;
                    }
                    Ok(())
                }
            });
        let outcome = holds(story);
        let mut ends = BTreeMap::new();
        for (_, event) in outcome.events() {
            if let Event::TaskEnded { task, phase, .. } = event {
                assert_eq!(ends.insert(*task, *phase), None, "{task} ended twice");
            }
        }
        let count = |is: Phase| ends.values().filter(|phase| **phase == is).count();
        assert!(
            count(Phase::Completed) > 3 && count(Phase::Cancelled) > 3,
            "one of the two always won: {ends:?}"
        );
        assert_nothing_lost(&outcome);
    });
}
