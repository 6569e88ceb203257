//! Backpressure and metastable overload, T32 and T33: three times what the agents can do, against a mailbox that is soon
//! full. What is too much is refused as `full`, clients come again at once, and when the load is as before, so is all else.

use std::time::Duration;

use synod::node::domain::limits::Limits;
use synod_simulations::Scenario;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, took, work};

/// Four agents with four slots do some ten of these a second.
const WORK_MILLIS: u64 = 1_500;

/// More than two seconds of work.
const DEPTH: u64 = 25;

/// When the overload begins and ends.
const FROM: Duration = s(9);
const TO: Duration = s(17);

#[test]
fn three_times_the_load_is_refused_and_the_world_is_as_before() {
    alone(|| {
        let mut story = Scenario::of(440).without_ordinary_clients().lasts(s(34)).equip(|builder, _| {
            let limits = Limits { mailbox_depth_max: DEPTH, grace: s(2), ageing: s(3), ..Limits::default() };
            Ok(builder.limits(limits))
        });
        for node in 1..=3 {
            story = story.client(&format!("steady-{node}"), node, |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    let _ = seat.submit(work(INSIDE, &[(Act::Succeed, WORK_MILLIS)])).await;
                    sleep(ms(900)).await;
                }
                Ok(())
            });
            for number in 0..3 {
                story = story.client(&format!("flood-{node}-{number}"), node, |seat| async move {
                    seat.until(FROM).await;
                    while seat.elapsed() < TO {
                        // It does not wait for better times: who is refused comes again.
                        let _ = seat.submit(work(INSIDE, &[(Act::Succeed, WORK_MILLIS)])).await;
                        sleep(ms(250)).await;
                    }
                    Ok(())
                });
            }
        }
        let outcome = holds(story);
        let full =
            |fact: &Fact| matches!(fact, Fact::Answered { answer: Answer::Refused { code: "full", .. }, .. });
        let refused: Vec<Duration> = outcome.facts(full).map(|record| record.at).collect();
        assert!(refused.len() > 30, "only {} submits were refused", refused.len());
        assert!(refused.iter().all(|at| *at > FROM), "nothing is refused before the overload");
        assert!(
            refused.iter().all(|at| *at < TO + s(6)),
            "refused at {:?}, the overload ended at {TO:?}",
            refused.last()
        );
        let (before, after) = (took(&outcome, s(4), FROM), took(&outcome, TO + s(9), s(33)));
        let worst = took(&outcome, FROM + s(3), TO);
        assert!(worst > 2 * before, "it was no overload: {worst:?}, and {before:?} before");
        assert!(
            after < before + before / 2,
            "{after:?} from submit to end, and {before:?} before the overload"
        );
        assert_nothing_lost(&outcome);
    });
}
