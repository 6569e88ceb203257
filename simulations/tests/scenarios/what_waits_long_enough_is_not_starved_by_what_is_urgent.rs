//! Priority starvation, T30: more urgent work than can be done, for as long as the world goes on, and a little that can
//! wait.

use std::collections::BTreeMap;

use synod::node::domain::event::Event;
use synod::node::domain::task::Lane;
use synod_simulations::Scenario;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn what_waits_long_enough_is_not_starved_by_what_is_urgent() {
    alone(|| {
        let story = Scenario::of(428)
            .nodes(1)
            .without_ordinary_clients()
            .lasts(s(20))
            .client("flood", 1, |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    // 16 slots do 32 of these in a second, and 40 come.
                    seat.submit(work(INSIDE, &[(Act::Succeed, 500)]).lane(Lane::Critical)).await?;
                    sleep(ms(25)).await;
                }
                Ok(())
            })
            .client("patient", 1, |seat| async move {
                sleep(s(2)).await;
                for _ in 0..5 {
                    seat.submit(work(INSIDE, &[(Act::Succeed, 100)]).lane(Lane::Low)).await?;
                }
                Ok(())
            });
        let outcome = holds(story);
        let (mut lanes, mut rose) = (BTreeMap::new(), 0);
        let (mut last_patient, mut behind) = (None, 0);
        for (record, event) in outcome.events() {
            match event {
                Event::TaskSubmitted { task, lane, .. } => drop(lanes.insert(*task, *lane)),
                Event::TaskRose { .. } => rose += 1,
                Event::TaskEnded { task, .. } if lanes.get(task) == Some(&Lane::Low) => {
                    last_patient = Some(record.at);
                }
                Event::TaskEnded { .. } if last_patient.is_some() => behind += 1,
                _ => {}
            }
        }
        assert!(rose >= 5, "nothing rose");
        let ended = last_patient.expect("what is patient ended");
        assert!(ended < s(20), "it ended only when nothing urgent came any more, at {ended:?}");
        assert!(behind > 50, "urgent work was waiting all the while, {behind} ended later");
        assert_nothing_lost(&outcome);
    });
}
