//! Agents hear from their providers that there are too many requests, quotas of accounts are used up, and meanwhile the
//! leader dies and another is cut off: nothing of an account begins before its pause is over or beyond its quota, and what
//! waited goes when the pause is over and when the window turns.

use std::collections::BTreeSet;

use synod::node::domain::event::{Event, Governing};
use synod_simulations::faults::Kind;
use synod_simulations::history::{Fact, Request};
use synod_simulations::process::alone;
use synod_simulations::{Outcome, Scenario};

use super::support::{assert_nothing_lost, cut_off, governed, held_back, holds, power_loss, s};

#[test]
fn providers_that_refuse_are_left_alone_and_their_work_goes_when_its_time_comes() {
    alone(|| {
        let story = Scenario::of(608)
            .asks("submits,providers".parse().unwrap())
            .lasts(s(75))
            .at_sight(s(20), |scene| power_loss(scene.leader(), s(3)))
            .at_sight(s(45), |scene| cut_off(scene.leader(), s(5)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Crash).len(), outcome.injected(Kind::Partition).len()), (1, 1));
        let refused = |fact: &Fact| matches!(fact, Fact::Asked { request: Request::Limited { .. }, .. });
        assert!(outcome.count(refused) > 5, "no provider refused");
        assert!(governed(&outcome, Governing::AccountHeld) > 5, "no account was left alone");
        for on in ["account", "budget"] {
            assert!(held_back(&outcome, on) > 5, "nothing was held back by an {on}");
        }
        assert!(woken_by_the_minute(&outcome) > 0, "no window turned for anything that waited");
        assert_nothing_lost(&outcome);
    });
}

/// Counts the tasks that waited for a quota of a minute and went with the first second of another one.
fn woken_by_the_minute(outcome: &Outcome) -> usize {
    let (mut waiting, mut woken) = (BTreeSet::new(), 0);
    for record in &outcome.history {
        let Fact::Happened { at, event, .. } = &record.fact else { continue };
        match event {
            Event::TaskParked { task, what, .. } if what.starts_with("budget minute-") => {
                waiting.insert(*task);
            }
            Event::TaskReady { task, .. } => {
                woken += usize::from(waiting.remove(task) && at.as_millis() % 60_000 < 1_000);
            }
            _ => {}
        }
    }
    woken
}
