//! Laws of time: what is due has happened, what must be forgotten is, and nothing waits for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::node::NodeRole;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::{AttemptEnd, Lane, Phase, Task, TaskSpec, TaskStatus};
use synod_domain::time::Timestamp;

use super::histories::{config, histories, one_by_one};
use super::world::{World, millis, spec, task};

fn is_silence(end: &AttemptEnd) -> bool {
    matches!(end, AttemptEnd::Failed(reason) if reason.contains("gave no heartbeat"))
}

/// What was offered to another region is judged there alone.
fn is_offered(task: &Task) -> bool {
    task.forwarding().is_some_and(|forwarding| forwarding.offered.is_some())
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn after_an_entry_nothing_is_overdue(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            let now = state.now();
            prop_assert!(now >= entry.at);
            prop_assert!(state.next_due().is_none_or(|due| due > now), "{:?} at {}", state.next_due(), now);
            for task in state.tasks().filter(|task| !is_offered(task)) {
                let timeouts = &task.spec.timeouts;
                prop_assert!(task.spec.deadline.is_none_or(|deadline| deadline > now), "{:?}", task);
                let unstarted = task.first_started_at.is_none();
                let waited = |limit| task.submitted_at.after(limit) <= now;
                prop_assert!(!(unstarted && timeouts.waiting.is_some_and(waited)), "{:?}", task);
                match &task.status {
                    TaskStatus::BackingOff { until } => prop_assert!(*until > now),
                    TaskStatus::Running { started_at, .. } => {
                        let ran = |limit| started_at.after(limit) <= now;
                        prop_assert!(!timeouts.running.is_some_and(ran), "{:?}", task);
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn nobody_is_silent_before_the_leader_has_listened_for_a_whole_timeout(history in histories()) {
        let mut state = State::default();
        let mut began = Timestamp::ZERO;
        for entry in &one_by_one(&history) {
            let leased = state.tasks().filter_map(|task| Some((task.clone(), task.lease()?.heard_at)));
            let leased: Vec<(Arc<Task>, Timestamp)> = leased.collect();
            let effects = state.apply(entry);
            for (before, heard_at) in leased {
                let Some(silence) = before.spec.timeouts.silence else { continue };
                let ended = state.task(before.spec.id).and_then(|task| task.attempts.get(before.attempts.len()));
                let Some(ended) = ended.filter(|ended| is_silence(&ended.end)) else { continue };
                let counts_from = heard_at.max(began);
                prop_assert!(ended.ended_at >= counts_from.after(silence), "{:?} from {:?}", ended, counts_from);
            }
            let leads = |event: &Event| match event {
                Event::TermBegun { .. } => true,
                Event::NodeStarted { node, .. } => {
                    state.node(*node).is_some_and(|node| node.role == NodeRole::Voter)
                }
                _ => false,
            };
            if effects.events.iter().any(leads) {
                began = state.now();
            }
        }
    }

    #[test]
    fn ticks_at_the_times_asked_for_bring_every_bounded_task_to_its_end(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
        }
        let mut ticks = 0;
        while let Some(due) = state.next_due() {
            state.apply(&synod_domain::command::Entry { at: due, ..Default::default() });
            prop_assert!(state.next_due().is_none_or(|next| next > due));
            ticks += 1;
            prop_assert!(ticks < 1000, "the clock never comes to rest");
        }
        prop_assert!(state.tasks().all(|task| task.spec.deadline.is_none() || is_offered(task)));
    }

    #[test]
    fn dead_letters_are_bounded_and_only_failed_or_timed_out_work(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            prop_assert!(state.dead_letters().count() as u64 <= state.limits().dead_letters_max);
            let given_up = |task: &Arc<Task>| matches!(task.phase(), Phase::Failed | Phase::TimedOut);
            prop_assert!(state.dead_letters().all(given_up));
        }
    }

    #[test]
    fn a_key_is_one_task_until_it_is_forgotten_and_is_kept_while_its_run_is_open(history in histories()) {
        let mut state = State::default();
        let mut keys = BTreeMap::new();
        for entry in &one_by_one(&history) {
            let effects = state.apply(entry);
            let (Some(request), Some(answer)) = (entry.commands.first(), effects.answers.first()) else { continue };
            let (Command::Submit { spec }
            | Command::KeepForRegion { spec, .. }
            | Command::TakeOffered { spec, .. }
            | Command::SubmitWith { spec, .. }
            | Command::SubmitAfter { spec, .. }
            | Command::SubmitStrict { spec, .. }) = &request.command
            else {
                continue;
            };
            let Some(key) = &spec.idempotency_key else { continue };
            let place = (spec.workspace.clone(), key.clone());
            match answer {
                Ok(Reply::Submitted { task, duplicate: false }) if !effects.events.is_empty() => {
                    let earlier = keys.insert(place, (*task, state.now(), spec.run));
                    if let Some((earlier, at, run)) = earlier {
                        let age = state.now().since(at);
                        prop_assert!(age > state.limits().idempotency, "{earlier} lost its key after {age:?}");
                        prop_assert!(run.is_none_or(|run| state.run(run).is_none_or(|run| run.started_at > at)));
                    }
                }
                Ok(Reply::Submitted { task, duplicate: true })
                | Err(Refusal::IdempotencyConflict { task }) if effects.events.is_empty() => {
                    let known = keys.get(&place).map(|(known, ..)| *known);
                    prop_assert!(known.is_some());
                    // A request sent again may name the task of a key that was forgotten since.
                    prop_assert!(known == Some(*task) || answer.is_ok());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn low_work_is_taken_after_a_bounded_time_however_much_urgent_work_comes(
        claims_apart in 10_u64..100, arrivals in 1_u128..4,
    ) {
        let mut world = World::new(Limits { ageing: millis(500), ..Limits::default() });
        world.submit(TaskSpec { lane: Lane::Low, ..spec(1) });
        let mut next = 1000;
        let begin = world.now;
        while world.task(1).attempt == 0 {
            // Never less urgent work than is taken.
            for _ in 0..arrivals {
                next += 1;
                world.submit(TaskSpec { lane: Lane::High, ..spec(next) });
            }
            for (task, attempt) in world.claim(1, 1) {
                world.ask(super::world::complete(task.raw(), attempt)).unwrap();
            }
            world.now += claims_apart;
            // Two rises bring it to the lane of the others, a third above them.
            prop_assert!(world.now - begin < 3 * (500 + claims_apart) + claims_apart * 50, "starved");
        }
        prop_assert_eq!(world.task(1).spec.id, task(1));
    }
}
