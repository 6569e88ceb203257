//! Bit flip in the state, T9: what a disk gives back is not what was written. The node notices when it opens it, makes
//! the state anew from its snapshot and its log, and says so.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind, Part};
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, killed, ms, s, told_by, victim};

#[test]
fn a_flipped_bit_in_the_state_is_noticed_at_the_next_start() {
    alone(|| {
        let mut story = Scenario::of(406).lasts(s(14));
        for number in 0..30 {
            story = story.at_sight(s(6), move |scene| Fault::BitFlip {
                node: scene.follower(),
                part: Part::State,
                position: 977 + 1_003 * number,
            });
        }
        // Nobody reads it before the next start.
        story = story.once(
            |record| matches!(&record.fact, Fact::Injected(Fault::BitFlip { .. })),
            ms(0),
            |scene| match scene.cause.as_ref().map(|record| &record.fact) {
                Some(Fact::Injected(Fault::BitFlip { node, .. })) => killed(*node, ms(300)),
                other => panic!("{other:?}"),
            },
        );
        let outcome = holds(story);
        let node = victim(&outcome);
        let flipped = outcome.injected(Kind::BitFlip)[0];
        let lives = told_by(&outcome, |fact| matches!(fact, Fact::Started { life } if *life > 1));
        assert!(lives.iter().any(|(at, which)| *which == node && *at > flipped), "it is back: {lives:?}");
        let repaired = told_by(&outcome, |fact| matches!(fact, Fact::Repaired { .. }));
        assert_eq!(repaired.len(), 1, "one start had something to repair: {repaired:?}");
        assert_eq!(repaired[0].1, node);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
