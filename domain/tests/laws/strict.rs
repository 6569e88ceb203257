//! Laws of strict tasks, whose content is shown in their own region alone, and examples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::reply::Reply;
use synod_domain::row::{Row, RowKey};
use synod_domain::state::State;
use synod_domain::task::{Phase, TaskSpec};
use synod_domain::terms::Terms;

use super::after;
use super::histories::{Draw, config, histories, one_by_one};
use super::world::{World, fail, spec, task};

fn strict(spec: TaskSpec) -> Command {
    Command::SubmitStrict { spec: Arc::new(spec), after: BTreeSet::new(), terms: None }
}

/// A strict submit, now and then after others or on terms of its own.
pub(super) fn command(state: &State, draw: &mut Draw, spec: &Arc<TaskSpec>) -> Command {
    let terms = draw.one_in(3).then(|| Arc::new(Terms::default()));
    if draw.one_in(3)
        && let Command::SubmitAfter { spec, after, .. } = after::command(state, draw, spec)
    {
        return Command::SubmitStrict { spec, after, terms };
    }
    Command::SubmitStrict { spec: spec.clone(), after: BTreeSet::new(), terms }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn what_was_submitted_as_strict_is_known_to_be_and_nothing_else_however_it_ends(
        history in histories(),
        stores in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut state = State::default();
        let mut strict: BTreeSet<TaskId> = BTreeSet::new();
        let mut disk: BTreeMap<TaskId, bool> = BTreeMap::new();
        for (entry, store) in one_by_one(&history).iter().zip(stores.into_iter().cycle()) {
            let letter_was_strict = match entry.commands.first().map(|request| &request.command) {
                Some(Command::Redrive { task, .. }) => state.is_strict(*task),
                _ => false,
            };
            let effects = state.apply(entry);
            if let (Some(request), Some(Ok(Reply::Submitted { task, duplicate: false }))) =
                (entry.commands.first(), effects.answers.first())
            {
                // A request that is sent again is answered and not done again; what it made was noted then.
                let is_strict = match request.command.plain() {
                    Command::SubmitStrict { spec, .. } => spec.id == *task,
                    Command::Redrive { new_task, .. } => letter_was_strict && new_task == task,
                    _ => false,
                };
                if is_strict {
                    strict.insert(*task);
                }
            }
            let letters = state.dead_letters().map(|letter| letter.spec.id);
            let here = state.tasks().map(|task| task.spec.id).chain(letters);
            let here: BTreeSet<TaskId> = here.collect();
            let known: BTreeSet<TaskId> = state.strict_tasks().collect();
            let expected: BTreeSet<TaskId> = here.intersection(&strict).copied().collect();
            prop_assert_eq!(known, expected);
            for ended in state.recently_ended() {
                prop_assert_eq!(state.is_strict(ended.spec.id), strict.contains(&ended.spec.id));
            }
            if store {
                for (key, row) in state.take_changes().rows {
                    if let (RowKey::History(task), Some(row)) = (key, row) {
                        disk.insert(task, matches!(row, Row::StrictTask(_)));
                    }
                }
                state.changes_stored();
            }
        }
        for (task, is_strict) in disk {
            prop_assert_eq!(is_strict, strict.contains(&task), "{} in history", task);
        }
    }
}

/// The rows of history that a checkpoint writes.
fn history(world: &mut World) -> Vec<(TaskId, bool)> {
    let rows = world.state.take_changes().rows.into_iter();
    let ended = rows.filter_map(|(key, row)| match (key, row) {
        (RowKey::History(task), Some(Row::StrictTask(_))) => Some((task, true)),
        (RowKey::History(task), Some(Row::Task(_))) => Some((task, false)),
        _ => None,
    });
    ended.collect()
}

#[test]
fn strict_task_is_strict_in_history_and_what_is_made_of_its_dead_letter_is_strict_too() {
    let mut world = World::new(Limits::default());
    world.ask(strict(spec(1))).unwrap();
    world.ask(Command::Submit { spec: spec(2).into() }).unwrap();
    for number in [1, 2] {
        world.claim(1, 1);
        world.ask(fail(number, 1, false)).unwrap();
    }
    // A checkpoint that failed is taken again, and still knows.
    assert_eq!(history(&mut world), [(task(1), true), (task(2), false)]);
    assert_eq!(history(&mut world), [(task(1), true), (task(2), false)]);
    world.state.changes_stored();
    assert!(world.state.is_strict(task(1)), "its dead letter is here");
    for (number, made) in [(1, 3), (2, 4)] {
        world.ask(Command::Redrive { task: task(number), new_task: task(made) }).unwrap();
    }
    let known = |world: &World| [1, 2, 3, 4].map(|number| world.state.is_strict(task(number)));
    assert_eq!(known(&world), [false, false, true, false]);
    let restored = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(restored.strict_tasks().collect::<Vec<_>>(), [task(3)]);
    world.ask(Command::Cancel { task: task(3), reason: "enough".into() }).unwrap();
    assert_eq!(known(&world), [false, false, true, false], "on its way to history");
    assert_eq!(history(&mut world), [(task(3), true)]);
    world.state.changes_stored();
    assert_eq!(world.state.strict_tasks().count(), 0);
}

#[test]
fn strict_task_whose_prerequisite_failed_ends_at_once_and_is_strict() {
    let mut world = World::new(Limits::default());
    world.ask(Command::Submit { spec: spec(1).into() }).unwrap();
    world.claim(1, 1);
    world.ask(fail(1, 1, false)).unwrap();
    let after = BTreeSet::from([task(1)]);
    world.ask(Command::SubmitStrict { spec: spec(2).into(), after, terms: None }).unwrap();
    assert_eq!(world.phase(2), Phase::Failed);
    assert!(world.state.is_strict(task(2)));
}

#[test]
fn key_of_a_strict_task_is_the_task_that_has_it() {
    let mut world = World::new(Limits::default());
    let keyed = |number| TaskSpec { idempotency_key: Some("key".into()), ..spec(number) };
    world.ask(Command::Submit { spec: keyed(1).into() }).unwrap();
    let answer = world.ask(strict(keyed(2)));
    assert_eq!(answer, Ok(Reply::Submitted { task: task(1), duplicate: true }));
    assert!(!world.state.is_strict(task(1)) && !world.state.is_strict(task(2)));
}
