//! Torn log tail, T8: of the writes of one sync some are on the disk and others are not.

use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::history::{Fact, Record};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, ms, s, victim};

#[test]
fn a_torn_batch_at_the_end_of_the_log_is_cut_off() {
    alone(|| {
        // A follower with slow syncs gets what it missed in large batches.
        let mut story = Scenario::of(405).lasts(s(18)).at_sight(s(3), |scene| Fault::SlowDisk {
            node: scene.follower(),
            lasts: s(14),
            sync: ms(600),
        });
        let slow = |record: &Record| matches!(record.fact, Fact::Injected(Fault::SlowDisk { .. }));
        for (number, keep_percent) in [30, 50, 70, 50].into_iter().enumerate() {
            let pause = ms(1_450) + ms(3_310) * u32::try_from(number).unwrap();
            story =
                story.once(slow, pause, move |scene| match scene.cause.as_ref().map(|record| &record.fact) {
                    Some(Fact::Injected(Fault::SlowDisk { node, .. })) => {
                        Fault::Crash { node: *node, down: ms(300), keep_percent, silent: true }
                    }
                    other => panic!("{other:?}"),
                });
        }
        let outcome = holds(story);
        let node = victim(&outcome);
        let torn = outcome
            .count(|fact| matches!(fact, Fact::Lost { unsynced, kept } if *kept > 0 && kept < unsynced));
        assert!(torn > 0, "no batch was torn");
        let lives = outcome
            .facts(|fact| matches!(fact, Fact::Starting { .. }))
            .filter(|record| record.node == Some(node));
        assert_eq!(lives.count(), 5, "it was started every time");
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::NodeFailed { .. })), 0);
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::Started { life: 5 })), 1, "it takes work again");
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
