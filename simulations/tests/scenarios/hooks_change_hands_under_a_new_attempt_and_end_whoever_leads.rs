//! Work is pinned to agents that begin it, fall silent, fail and come back, while the leader dies and another is cut off: it
//! changes hands under a new attempt each time, those who lost it are refused, and all of it ends.

use synod::node::domain::event::{Event, Governing};
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, governed, holds, power_loss, s};

/// What is said of a hook whose agent was silent for too long.
const SILENT: &str = "nothing was heard of it for";

#[test]
fn hooks_change_hands_under_a_new_attempt_and_end_whoever_leads() {
    alone(|| {
        let story = Scenario::of(612)
            .asks("submits,hooks".parse().unwrap())
            .lasts(s(30))
            .at_sight(s(9), |scene| power_loss(scene.leader(), s(2)))
            .at_sight(s(19), |scene| cut_off(scene.leader(), s(4)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Crash).len(), outcome.injected(Kind::Partition).len()), (1, 1));
        for what in [Governing::HookStarted, Governing::HookReturned, Governing::HookAbandoned] {
            assert!(governed(&outcome, what) > 5, "{}", what.as_str());
        }
        assert!(governed(&outcome, Governing::HookReassigned) > 5, "none changed hands");
        assert!(governed(&outcome, Governing::HookEnded) > 5);
        let mut silent = outcome.events().filter(|(_, event)| {
            matches!(event, Event::Governed { what: Governing::HookAbandoned, detail, .. } if detail.contains(SILENT))
        });
        assert!(silent.next().is_some(), "nobody was silent for too long");
        let fenced = |fact: &Fact| {
            matches!(fact, Fact::Answered { answer: Answer::Refused { code: "hook_fenced", .. }, .. })
        };
        assert!(outcome.count(fenced) > 3, "nobody wrote too late");
        assert_nothing_lost(&outcome);
    });
}
