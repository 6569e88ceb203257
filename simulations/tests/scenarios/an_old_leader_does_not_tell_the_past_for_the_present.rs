//! Stale read from an old leader, T18: it leads no more and does not know it yet. A linearizable read there waits or
//! fails; it never shows less than was acknowledged before it was asked.

use std::sync::Arc;

use parking_lot::Mutex;
use synod::node::domain::id::TaskId;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_one_leader_a_term, cut_off, holds, ms, s, victim, work};

#[test]
fn an_old_leader_does_not_tell_the_past_for_the_present() {
    alone(|| {
        let acknowledged = Arc::<Mutex<Vec<TaskId>>>::default();
        let mut story = Scenario::of(410)
            .without_ordinary_clients()
            .lasts(s(14))
            .at_sight(s(5), |scene| cut_off(scene.leader(), s(5)));
        for node in 1..=3 {
            let all = Arc::clone(&acknowledged);
            story = story.client("writer", node, move |seat| {
                let all = Arc::clone(&all);
                async move {
                    seat.open_pools().await;
                    while seat.is_busy() {
                        if let Ok(task) = seat.submit(work(INSIDE, &[(Act::Succeed, 10)])).await {
                            all.lock().push(task);
                        }
                        sleep(ms(150)).await;
                    }
                    Ok(())
                }
            });
            let all = Arc::clone(&acknowledged);
            story = story.client("reader", node, move |seat| {
                let all = Arc::clone(&all);
                async move {
                    while seat.is_busy() {
                        let before = all.lock().last().copied();
                        if let (Some(task), Ok(())) = (before, seat.node().linearize().await) {
                            seat.note(&(seat.number(), seat.node().task(task).is_ok()));
                        }
                        sleep(ms(70)).await;
                    }
                    Ok(())
                }
            });
        }
        let outcome = holds(story);
        let old = victim(&outcome);
        let (cut, healed) = (outcome.injected(Kind::Partition)[0], outcome.healed(Kind::Partition)[0]);
        let reads: Vec<_> = outcome
            .noted("reader")
            .into_iter()
            .map(|(at, what)| (at, what[0].as_u64().unwrap(), what[1].as_bool().unwrap()))
            .collect();
        assert!(reads.iter().all(|(_, _, found)| *found), "a read shows less than was acknowledged");
        let by =
            |from, to, node| reads.iter().filter(|(at, by, _)| *by == node && *at > from && *at < to).count();
        assert!(by(s(3), cut, old) > 5, "it was read at the leader before");
        assert_eq!(by(cut + s(2), healed, old), 0, "nobody vouches for what it says");
        let others: usize =
            (1..=3).filter(|node| *node != old).map(|node| by(cut + s(3), healed, node)).sum();
        assert!(others > 5, "the others can be read: {others}");
        assert!(by(healed + s(1), s(14), old) > 5, "it can be read again");
        assert_one_leader_a_term(&outcome);
    });
}
