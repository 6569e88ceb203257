//! Purge against apply: the log is cut off behind everybody while somebody still has to be told of what was in it.

use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, assert_states_agree, holds, ms, s};

#[test]
fn a_node_that_falls_behind_again_and_again_always_catches_up() {
    alone(|| {
        let mut story = Scenario::of(409).lasts(s(22));
        // Shorter and longer than the time in which a hundred entries are written and cut off.
        for (number, lasts) in [1_500, 2_500, 3_500, 700].into_iter().enumerate() {
            let at = s(4) + s(4) * u32::try_from(number).unwrap();
            story = story.at(at, Fault::Pause { node: 3, lasts: ms(lasts) });
        }
        let outcome = holds(story);
        let (behind, ahead) = (outcome.applied(3), outcome.applied(1));
        let last = |applied: &std::collections::BTreeSet<u64>| applied.last().copied().unwrap_or_default();
        assert!(last(&ahead) > 300, "too little was written for the log to be cut off: {}", last(&ahead));
        assert!(last(&behind) + 5 >= last(&ahead), "{} of {}", last(&behind), last(&ahead));
        // What it never applied one by one came with a snapshot: the others' logs had it no more.
        let first = behind.first().copied().unwrap_or_default();
        let missed = (first..=last(&behind)).filter(|index| !behind.contains(index)).count();
        assert!(missed > 50, "it got everything from the log, {missed} entries with a snapshot");
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
