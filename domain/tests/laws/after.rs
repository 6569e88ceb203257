//! Laws of tasks that wait for others, and examples.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::parking::ParkedOn;
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::{PREREQUISITES_MAX, State};
use synod_domain::task::{Lane, MailboxId, Phase, TaskSpec, Timeouts};

use super::histories::{Draw, config, histories, one_by_one};
use super::world::{World, agent, complete, fail, millis, name, spec, task};

pub(crate) fn submit_after(spec: TaskSpec, after: &[u128]) -> Command {
    let after = after.iter().copied().map(task).collect();
    Command::SubmitAfter { spec: Arc::new(spec), after, terms: None }
}

/// A submit that waits for a task or two, mostly known ones of its own workspace.
pub(super) fn command(state: &State, draw: &mut Draw, spec: &TaskSpec) -> Command {
    let known: Vec<_> = state
        .tasks()
        .filter(|task| draw.one_in(8) || task.spec.workspace == spec.workspace)
        .map(|task| task.spec.id)
        .collect();
    let mut after = BTreeSet::new();
    for _ in 0..draw.below(3) {
        if known.is_empty() || draw.one_in(6) {
            after.insert(task(1 + u128::from(draw.below(30))));
        } else {
            after.insert(draw.pick(&known));
        }
    }
    Command::SubmitAfter { spec: Arc::new(spec.clone()), after, terms: None }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_task_waits_for_unfinished_others_only_and_never_begins_before_they_are_over(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let before: BTreeSet<_> =
                state.tasks().map(|task| task.spec.id).filter(|task| state.prerequisites(*task).is_some()).collect();
            let effects = state.apply(entry);
            for event in &effects.events {
                if let Event::TaskLeased { task, .. } = event {
                    prop_assert!(state.prerequisites(*task).is_none(), "{} began too early", task);
                }
            }
            for waiter in state.tasks() {
                let id = waiter.spec.id;
                let Some(left) = state.prerequisites(id) else { continue };
                prop_assert!(!left.is_empty());
                for prerequisite in left {
                    let found = state.task(*prerequisite);
                    let unfinished = found.is_some_and(|task| !task.phase().is_end());
                    prop_assert!(unfinished, "{} waits for {}, which is over", id, prerequisite);
                }
                // Something else may hold it back first, and let it go before they are over.
                if let Some(ParkedOn::Task(on)) = waiter.parking().map(|parking| &parking.on) {
                    prop_assert!(left.contains(on), "{} is held back by {}, which it does not wait for", id, on);
                }
            }
            for id in before {
                let ended = state.task(id).is_none_or(|task| task.phase().is_end());
                prop_assert!(!ended || state.prerequisites(id).is_none(), "{} left a row behind", id);
            }
        }
    }
}

fn waits(world: &mut World, number: u128, after: &[u128]) -> Answer {
    world.ask(submit_after(spec(number), after))
}

#[test]
fn a_task_begins_after_the_last_of_those_it_waits_for_in_its_own_lane() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    world.submit(spec(2));
    world.submit(spec(3));
    let urgent = TaskSpec { lane: Lane::Critical, ..spec(4) };
    let submitted = world.ask(submit_after(urgent, &[1, 2]));
    assert_eq!(submitted, Ok(Reply::Submitted { task: task(4), duplicate: false }));
    assert_eq!((world.phase(4), world.state.pending_in(&MailboxId::Open)), (Phase::Pending, 4));
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.state.prerequisites(task(4)), Some(&BTreeSet::from([task(2)])));
    assert_eq!(world.claim(1, 1), [(task(2), 1)], "the urgent one is not to be had yet");
    world.ask(complete(2, 1)).unwrap();
    assert_eq!(world.claim(1, 2), [(task(4), 1), (task(3), 1)], "it kept its lane");
    assert_eq!(world.state.prerequisites(task(4)), None);
}

#[test]
fn a_long_chain_fails_from_its_beginning_to_its_end() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    let length = 5_000;
    for number in 2..=length {
        waits(&mut world, number, &[number - 1]).unwrap();
    }
    world.claim(1, 1);
    world.ask(fail(1, 1, false)).unwrap();
    assert_eq!(world.state.unfinished(), 0);
    let (second, last) = (world.reason(2), world.reason(length));
    assert_eq!(second, format!("it was to begin after {}, which failed: attempt 1 broke", task(1)));
    assert!(last.contains("attempt 1 broke"), "{last}");
}

#[test]
fn what_was_cancelled_or_ran_out_of_time_fails_what_waits_for_it() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    let short = Timeouts { waiting: Some(millis(10)), ..Timeouts::default() };
    world.submit(TaskSpec { timeouts: short, ..spec(2) });
    waits(&mut world, 3, &[1]).unwrap();
    waits(&mut world, 4, &[2]).unwrap();
    world.ask(Command::Cancel { task: task(1), reason: "enough".into() }).unwrap();
    assert!(world.reason(3).ends_with("which was cancelled: enough"), "{}", world.reason(3));
    world.pass(20);
    assert!(world.reason(4).contains("which ran out of time"), "{}", world.reason(4));
    // As if it had been submitted before the end.
    waits(&mut world, 5, &[2]).unwrap();
    assert_eq!((world.phase(5), world.reason(5).contains("ran out of time")), (Phase::Failed, true));
}

#[test]
fn what_is_not_known_cannot_be_waited_for_and_leaves_nothing_behind() {
    let mut world = World::new(Limits::default());
    let unknown = |number| Err(Refusal::PrerequisiteUnknown(task(number)));
    assert_eq!(waits(&mut world, 1, &[9]), unknown(9));
    assert_eq!(waits(&mut world, 1, &[1]), unknown(1), "not even itself");
    world.submit(TaskSpec { workspace: name("theirs"), ..spec(2) });
    assert_eq!(waits(&mut world, 1, &[2]), unknown(2), "nor the work of others");
    let many: Vec<u128> = (10..=10 + PREREQUISITES_MAX as u128).collect();
    assert!(matches!(waits(&mut world, 1, &many), Err(Refusal::Invalid { .. })));
    world.submit(spec(3));
    let elsewhere = TaskSpec { mailbox: MailboxId::Agent(agent(9)), ..spec(1) };
    assert!(matches!(world.ask(submit_after(elsewhere, &[3])), Err(Refusal::AgentUnknown(_))));
    assert!(world.state.task(task(1)).is_none() && world.state.prerequisites(task(1)).is_none());
    world.claim(1, 2);
    world.ask(complete(3, 1)).unwrap();
    waits(&mut world, 1, &[3]).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)], "what has completed is not waited for");
}

#[test]
fn a_task_that_waits_for_others_can_be_cancelled_and_lets_them_go_on() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    waits(&mut world, 2, &[1]).unwrap();
    world.ask(Command::Cancel { task: task(2), reason: "enough".into() }).unwrap();
    world.claim(1, 1);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!((world.phase(1), world.phase(2)), (Phase::Completed, Phase::Cancelled));
}
