//! Clock jump, T23: the wall clock of the leader is wrong by an hour and by a day, in both directions.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, led_after, ms, s, work};

const HOUR: i64 = 3_600_000;

#[test]
fn a_clock_that_jumps_by_a_day_ends_no_lease_and_no_wait() {
    alone(|| {
        let mut story = Scenario::of(423).without_ordinary_clients().lasts(s(20)).client(
            "steady",
            2,
            |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    // Longer than the silence that is allowed, with signs of life all the while.
                    seat.submit(work(INSIDE, &[(Act::Succeed, 2_600)])).await?;
                    sleep(ms(300)).await;
                }
                Ok(())
            },
        );
        for (number, millis) in [HOUR, -HOUR, 24 * HOUR, -24 * HOUR].into_iter().enumerate() {
            let at = s(4) + s(4) * u32::try_from(number).unwrap();
            story = story.at_sight(at, move |scene| Fault::ClockJump {
                node: scene.leader(),
                lasts: s(2),
                millis,
            });
        }
        let outcome = holds(story);
        assert_eq!(outcome.healed(Kind::ClockJump).len(), 4);
        let again: Vec<String> = outcome
            .facts(|fact| matches!(fact, Fact::Acts { attempt, .. } if *attempt > 1))
            .map(|record| record.to_string())
            .collect();
        assert!(again.is_empty(), "a lease ended before its time: {again:?}");
        assert!(outcome.count(|fact| matches!(fact, Fact::Acts { .. })) > 30);
        assert_eq!(led_after(&outcome, s(4)), [], "nobody is elected because of a wall clock");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
