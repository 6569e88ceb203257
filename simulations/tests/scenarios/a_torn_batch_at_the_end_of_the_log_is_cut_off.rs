//! Torn log tail, T8: of the writes of one sync some are on the disk and others are not.

use std::time::Duration;

use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::history::{Fact, Record};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, ms, s, victim};

/// How long it is away each time.
const AWAY: Duration = s(2);

#[test]
fn a_torn_batch_at_the_end_of_the_log_is_cut_off() {
    alone(|| {
        // A follower with slow syncs gets what it missed while it was away in one large batch, and dies before that is synced.
        let mut story = Scenario::of(405).lasts(s(18)).at_sight(s(3), |scene| Fault::SlowDisk {
            node: scene.follower(),
            lasts: s(14),
            sync: ms(600),
        });
        let slow = |record: &Record| matches!(record.fact, Fact::Injected(Fault::SlowDisk { .. }));
        // It dies so long after it is back: sooner or later in what it is given then.
        let crashes = [(ms(1_450), 30), (ms(1_000), 50), (ms(1_500), 70), (ms(2_000), 50)];
        let mut pause = Duration::ZERO;
        for (up, keep_percent) in crashes {
            pause += up;
            story =
                story.once(slow, pause, move |scene| match scene.cause.as_ref().map(|record| &record.fact) {
                    Some(Fact::Injected(Fault::SlowDisk { node, .. })) => {
                        Fault::Crash { node: *node, down: AWAY, keep_percent, silent: true }
                    }
                    other => panic!("{other:?}"),
                });
            pause += AWAY;
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
