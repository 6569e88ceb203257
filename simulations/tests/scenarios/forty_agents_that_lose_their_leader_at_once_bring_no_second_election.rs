//! Thundering herd at a failover, T31: all of them register and claim again in the same moment.

use serde_json::json;
use synod::node::domain::task::Phase;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;
use synod_simulations::scenario::OUTSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, assert_one_leader_a_term, holds, killed, led_after, ms, s, work};

#[test]
fn forty_agents_that_lose_their_leader_at_once_bring_no_second_election() {
    alone(|| {
        let mut story = Scenario::of(430)
            .without_ordinary_clients()
            .lasts(s(14))
            .at_sight(s(6), |scene| killed(scene.leader(), s(6)));
        for node in 1..=3 {
            story = story.client("submitter", node, |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    let _ = seat.submit(work(OUTSIDE, &[(Act::Succeed, 0)])).await;
                    sleep(ms(50)).await;
                }
                Ok(())
            });
        }
        for number in 0..40 {
            for node in 1..=3 {
                // At the next node when there is nobody at this one; without a pause of their own.
                let (name, home) = (format!("agent-{number}"), number % 3 + 1);
                story = story.client(&name, node, move |seat| async move {
                    if node != home {
                        sleep(s(6)).await;
                    }
                    loop {
                        let _ = seat.register(OUTSIDE, 1).await;
                        while let Ok(given) = seat.claim(1).await {
                            for lease in given {
                                let _ = seat.complete(&lease, json!({})).await;
                            }
                            sleep(ms(200)).await;
                        }
                        sleep(ms(50)).await;
                    }
                });
            }
        }
        let outcome = holds(story);
        let crash = outcome.injected(Kind::Crash)[0];
        let elected = led_after(&outcome, crash);
        assert_eq!(elected.len(), 1, "{elected:?}");
        let (at, _) = elected[0];
        let done = |from, to| {
            let ends = outcome.events().filter(|(record, event)| {
                let completed = matches!(
                    event,
                    synod::node::domain::event::Event::TaskEnded { phase: Phase::Completed, .. }
                );
                completed && record.at > from && record.at <= to
            });
            ends.count()
        };
        assert!(done(at, at + s(5)) > 20, "only {} tasks were done after the failover", done(at, at + s(5)));
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
