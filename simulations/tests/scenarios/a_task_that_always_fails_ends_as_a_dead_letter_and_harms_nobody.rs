//! Poison task, T29: its agent dies of it each time. It ends after as many attempts as it may have; others go on.

use synod::node::domain::task::Phase;
use synod_simulations::Scenario;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

#[test]
fn a_task_that_always_fails_ends_as_a_dead_letter_and_harms_nobody() {
    alone(|| {
        let story = Scenario::of(426).without_ordinary_clients().lasts(s(10)).client(
            "submitter",
            1,
            |seat| async move {
                seat.open_pools().await;
                seat.note(&seat.submit(work(INSIDE, &[(Act::Panic, 50)])).await?.to_string());
                while seat.is_busy() {
                    seat.submit(work(INSIDE, &[(Act::Succeed, 50)])).await?;
                    sleep(ms(100)).await;
                }
                Ok(())
            },
        );
        let outcome = holds(story);
        let poison = outcome.noted("submitter")[0].1.as_str().unwrap().to_owned();
        let panics = outcome
            .facts(
                |fact| matches!(fact, Fact::Acts { task, act: Act::Panic, .. } if task.to_string() == poison),
            )
            .count();
        assert_eq!(panics, 4, "as many attempts as its policy gives");
        let ended = outcome.ended();
        let (poisoned, others): (Vec<_>, Vec<_>) =
            ended.iter().partition(|(task, _)| task.to_string() == poison);
        assert_eq!(poisoned.len(), 1);
        assert_eq!(*poisoned[0].1, Phase::Failed);
        assert!(
            others.len() > 40 && others.iter().all(|(_, phase)| **phase == Phase::Completed),
            "{}",
            others.len()
        );
        assert_nothing_lost(&outcome);
    });
}
