//! Agents that crash their node: the machine dies a moment after the attempt began, wherever that is. The others take
//! the work over, one after the other, and each comes back.

use std::collections::BTreeSet;

use synod::node::domain::task::Phase;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, killed, ms, s, work};

#[test]
fn a_task_that_kills_the_node_it_runs_on_does_not_kill_them_all() {
    alone(|| {
        let mut story = Scenario::of(427).without_ordinary_clients().lasts(s(22));
        for node in 1..=3 {
            story = story.client("submitter", node, |seat| async move {
                seat.open_pools().await;
                if seat.number() == 2 && seat.life() == 1 {
                    // It works quietly, and its machine does not live to see the end.
                    seat.submit(work(INSIDE, &[(Act::HangDeaf, 0)])).await?;
                }
                while seat.is_busy() {
                    seat.submit(work(INSIDE, &[(Act::Succeed, 50)])).await?;
                    sleep(ms(300)).await;
                }
                Ok(())
            });
        }
        let deadly = |fact: &Fact| matches!(fact, Fact::Acts { act: Act::HangDeaf, .. });
        let story = story.whenever(
            move |record| deadly(&record.fact),
            ms(100),
            4,
            |scene| killed(scene.there(), s(1)),
        );
        let outcome = holds(story);
        let begun: Vec<_> = outcome.facts(deadly).filter_map(|record| record.node).collect();
        assert_eq!(outcome.injected(Kind::Crash).len(), 4, "the first four attempts kill their machines");
        // What the death of a machine ended is not held against the task; that it falls silent is.
        assert!(begun.len() >= 5, "it was tried again after the last machine had died of it");
        let deadly = outcome.facts(deadly).find_map(|record| match record.fact {
            Fact::Acts { task, .. } => Some(task),
            _ => None,
        });
        let ended = outcome.ended();
        assert_eq!(deadly.and_then(|task| ended.get(&task)), Some(&Phase::TimedOut));
        let machines: BTreeSet<u64> = begun.into_iter().collect();
        assert!(machines.len() > 1, "it was tried elsewhere: {machines:?}");
        assert!(ended.values().filter(|phase| **phase == Phase::Completed).count() > 30, "others go on");
        assert_nothing_lost(&outcome);
    });
}
