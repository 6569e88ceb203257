//! A crash after each step that can be seen, T7: a node that just leads, answered, applied, gave work out, began it, ended
//! it, took a restart or was heard again. Power is lost in that moment, and what was not synced with it.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Answer, Fact, Record};
use synod_simulations::process::alone;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, ms, power_loss,
    s,
};

/// A step, and how its record looks.
type Step = (&'static str, fn(&Fact) -> bool);

const STEPS: [Step; 9] = [
    ("acknowledged", |fact| matches!(fact, Fact::Answered { answer: Answer::Submitted(_), .. })),
    ("applied", |fact| matches!(fact, Fact::Applied { .. })),
    ("leads", |fact| matches!(fact, Fact::Leads { term: Some(_) })),
    ("leased", |fact| matches!(fact, Fact::Happened { event: Event::TaskLeased { .. }, .. })),
    ("begun", |fact| matches!(fact, Fact::Acts { .. })),
    ("ended", |fact| matches!(fact, Fact::Happened { event: Event::TaskEnded { .. }, .. })),
    ("back", |fact| matches!(fact, Fact::Started { .. })),
    ("state", |fact| matches!(fact, Fact::State { .. })),
    ("healed", |fact| matches!(fact, Fact::Healed(Fault::Pause { .. }))),
];

/// Between two of them everybody is back.
const EVERY: u64 = 4;

#[test]
fn a_machine_that_dies_after_any_step_of_its_work_comes_back_whole() {
    alone(|| {
        let mut story = Scenario::of(442).lasts(s(8 + EVERY * STEPS.len() as u64));
        for (number, (_, looks)) in (0..).zip(STEPS) {
            let from = s(4 + EVERY * number);
            let sees = move |record: &Record| record.at >= from && looks(&record.fact);
            // What a fault did stands in the world's name; it says itself to whom.
            let dies = |scene: &synod_simulations::scenario::Scene| match scene
                .cause
                .as_ref()
                .map(|record| &record.fact)
            {
                Some(Fact::Healed(fault)) => power_loss(fault.node().unwrap(), ms(700)),
                _ => power_loss(scene.there(), ms(700)),
            };
            story = story.once(sees, ms(0), dies);
            // Somebody comes to lead and comes back, and somebody is heard again.
            story = match STEPS[usize::try_from(number).unwrap()].0 {
                "leads" => {
                    story.at_sight(from + ms(100), |scene| Fault::Pause { node: scene.leader(), lasts: s(2) })
                }
                "back" => story.at_sight(from + ms(100), |scene| Fault::Restart { node: scene.follower() }),
                "healed" => story
                    .at_sight(from + ms(100), |scene| Fault::Pause { node: scene.follower(), lasts: s(1) }),
                _ => story,
            };
        }
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), STEPS.len(), "each step was followed by a death");
        let lost = outcome.count(|fact| matches!(fact, Fact::Lost { unsynced: 1.., kept: 0 }));
        assert!(lost >= 5, "only {lost} of them lost a write");
        let last = outcome.injected(Kind::Crash).last().copied().unwrap();
        assert!(acknowledged(&outcome, last + s(1), s(60)) > 3);
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
