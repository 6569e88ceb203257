//! Lists that pages are made of, and what is counted.

use std::time::Duration;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::state::State;
use synod_domain::task::{Phase, Task};

use super::histories::{config, histories};
use super::world::{World, agent, at, complete, fail, millis, spec, task};

const DAY: u64 = 24 * 60 * 60 * 1000;

fn ids<'a>(tasks: impl Iterator<Item = &'a std::sync::Arc<Task>>) -> Vec<TaskId> {
    tasks.map(|task| task.spec.id).collect()
}

/// Latest first, below an id.
fn expected(mut all: Vec<TaskId>, before: Option<TaskId>) -> Vec<TaskId> {
    all.retain(|task| before.is_none_or(|before| *task < before));
    all.sort();
    all.reverse();
    all
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn lists_go_down_from_an_id_and_miss_nothing(history in histories(), before in prop::option::of(0..40_u128)) {
        let mut state = State::default();
        let before = before.map(task);
        for entry in &history {
            state.apply(entry);
            if entry.seed % 5 == 0 {
                // Part of what ended is being written, and perhaps never arrives.
                state.take_changes();
            }
            if entry.seed % 15 == 0 {
                state.changes_stored();
            }
            prop_assert_eq!(ids(state.tasks_below(before)), expected(ids(state.tasks()), before));
            let ended = expected(ids(state.recently_ended()), before);
            prop_assert_eq!(ids(state.recently_ended_below(before)), ended);
            let dead = expected(ids(state.dead_letters()), before);
            prop_assert_eq!(ids(state.dead_letters_below(before)), dead);
        }
    }

    #[test]
    fn every_task_ever_accepted_is_counted_as_unfinished_or_in_one_end(history in histories()) {
        let mut state = State::default();
        let (mut submitted, mut ended, mut returned, mut forwarded) = (0, [0; 4], 0, 0);
        for entry in &history {
            for event in state.apply(entry).events {
                match event {
                    Event::TaskSubmitted { .. } | Event::TaskKept { .. } => submitted += 1,
                    Event::TaskForwarded { .. } => forwarded += 1,
                    Event::TaskEnded { phase, .. } => {
                        let all = [Phase::Completed, Phase::Failed, Phase::TimedOut, Phase::Cancelled];
                        ended[all.iter().position(|one| *one == phase).unwrap()] += 1;
                    }
                    Event::TaskReturned { .. } => returned += 1,
                    _ => {}
                }
            }
            let totals = state.totals();
            prop_assert_eq!(totals.submitted, state.unfinished() + totals.ended() + forwarded);
            prop_assert_eq!(totals.submitted, submitted);
            prop_assert_eq!([totals.completed, totals.failed, totals.timed_out, totals.cancelled], ended);
            prop_assert!(totals.retried <= returned);
            let failed: u64 = state.tasks().map(|task| u64::from(task.failures)).sum();
            prop_assert!(totals.retried >= failed, "each failure of an unfinished task was followed by a try");
            // Histories are shorter than a day.
            prop_assert_eq!(totals, &state.today().totals);
        }
    }
}

#[test]
fn waiting_and_working_are_summed_from_submit_to_start_and_from_start_to_end() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    world.now += 300;
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.now += 50;
    world.ask(Command::Start { task: task(1), attempt: 1 }).unwrap();
    world.now += 1000;
    world.ask(fail(1, 1, true)).unwrap();
    world.pass(60_000);
    world.claim(1, 1);
    world.now += 500;
    world.ask(complete(1, 2)).unwrap();
    let totals = world.state.totals();
    // Only the first start ends the wait, and only a failure is a retry.
    assert_eq!((totals.waited, totals.worked, totals.retried), (millis(350), millis(1500), 1));
    assert_eq!(world.state.agent(agent(1)).unwrap().worked, millis(1500));
}

#[test]
fn an_attempt_that_never_started_did_no_work() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.now += 1000;
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    let totals = world.state.totals();
    assert_eq!((totals.waited, totals.worked, totals.retried), (Duration::ZERO, Duration::ZERO, 0));
}

#[test]
fn the_day_begins_anew_at_midnight_and_what_was_ever_done_does_not() {
    let mut world = World::new(Limits::default());
    world.now = 20_000 * DAY - 1;
    world.submit(spec(1));
    assert_eq!((world.state.today().day, world.state.today().totals.submitted), (19_999, 1));
    world.pass(1);
    assert_eq!((world.state.now(), world.state.today().day), (at(20_000 * DAY), 20_000));
    world.claim(1, 1);
    world.ask(complete(1, 1)).unwrap();
    let (today, ever) = (&world.state.today().totals, world.state.totals());
    assert_eq!((today.submitted, today.completed), (0, 1));
    assert_eq!((ever.submitted, ever.completed), (1, 1));
}

#[test]
fn a_redriven_dead_letter_is_counted_as_the_two_tasks_it_is() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    world.claim(1, 1);
    world.ask(fail(1, 1, false)).unwrap();
    world.ask(Command::Redrive { task: task(1), new_task: task(2) }).unwrap();
    let totals = world.state.totals();
    assert_eq!((totals.submitted, totals.failed, world.state.unfinished()), (2, 1, 1));
}
