//! Examples of ends: completion, failure, retries, losses, dead letters, cancel, late writers.

use synod_domain::agent::Standing;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::retry::LOSSES_MAX;
use synod_domain::task::{AttemptEnd, Phase, REASON_BYTES_MAX, TaskSpec, Usage};

use super::world::{World, agent, at, claim, complete, fail, spec, standing, start_node, submit, task};

fn world_with(tasks: u128) -> World {
    let mut world = World::new(Limits::default());
    (1..=tasks).for_each(|number| world.submit(spec(number)));
    world
}

#[test]
fn a_task_is_claimed_completed_and_counted_to_its_agent() {
    let mut world = world_with(1);
    assert_eq!(world.claim(1, 5), [(task(1), 1)]);
    assert_eq!(world.ask(complete(1, 1)), Ok(Reply::Ended { phase: Phase::Completed }));
    let usage = Usage { tokens_in: 1, tokens_out: 2, cost_microusd: 3 };
    assert_eq!((world.phase(1), world.held(1), &world.task(1).usage), (Phase::Completed, 0, &usage));
    assert_eq!(world.state.agent(agent(1)).unwrap().completed, 1);
    assert_eq!(world.state.unfinished(), 0);
}

#[test]
fn retries_end_in_a_dead_letter_that_says_why() {
    let mut world = world_with(1);
    for attempt in 1..=3 {
        world.pass(60_000);
        assert_eq!(world.claim(1, 1), [(task(1), attempt)]);
        world.ask(fail(1, attempt, true)).unwrap();
    }
    assert_eq!((world.phase(1), world.reason(1).as_str()), (Phase::Failed, "attempt 3 broke"));
    let dead: Vec<_> = world.state.dead_letters().collect();
    assert_eq!((dead.len(), dead[0].failures, dead[0].attempts.len()), (1, 3, 3));
}

#[test]
fn a_failure_that_is_not_retryable_is_a_dead_letter_at_once() {
    let mut world = world_with(1);
    world.claim(1, 1);
    assert_eq!(world.ask(fail(1, 1, false)), Ok(Reply::Ended { phase: Phase::Failed }));
    assert_eq!(world.state.dead_letters().count(), 1);
}

#[test]
fn a_task_that_takes_its_agents_down_is_given_up_and_losses_are_not_failures() {
    let mut world = world_with(1);
    for attempt in 1..=LOSSES_MAX {
        assert_eq!(world.claim(1, 1), [(task(1), attempt)]);
        world.ask(standing(1, Standing::Failed)).unwrap();
        world.ask(standing(1, Standing::Ready)).unwrap();
    }
    assert_eq!((world.phase(1), world.task(1).failures), (Phase::Failed, 0));
    assert_eq!(world.reason(1), "given up after 10 lost agents or nodes; the last: told");
}

#[test]
fn losses_and_failures_together_bound_how_often_a_task_is_given_out() {
    let mut world = world_with(1);
    let max_attempts = world.task(1).spec.retry.max_attempts;
    for attempt in 1..LOSSES_MAX {
        assert_eq!(world.claim(1, 1), [(task(1), attempt)]);
        world.ask(standing(1, Standing::Failed)).unwrap();
        world.ask(standing(1, Standing::Ready)).unwrap();
    }
    for attempt in LOSSES_MAX..LOSSES_MAX + max_attempts {
        assert_eq!(world.phase(1), Phase::Pending);
        world.pass(60_000);
        assert_eq!(world.claim(1, 1), [(task(1), attempt)]);
        world.ask(fail(1, attempt, true)).unwrap();
    }
    let ended = world.task(1);
    assert_eq!(world.phase(1), Phase::Failed);
    assert_eq!((ended.losses, ended.failures), (LOSSES_MAX - 1, max_attempts));
}

#[test]
fn a_node_that_starts_gives_back_the_work_of_its_agents_under_the_next_attempt() {
    let mut world = world_with(1);
    world.claim(1, 1);
    world.ask(start_node(1, 1)).unwrap();
    assert_eq!((world.phase(1), world.held(1)), (Phase::Pending, 0));
    assert_eq!(world.state.agent(agent(1)).unwrap().standing, Standing::Offline);
    assert_eq!(world.ask(complete(1, 1)), Err(Refusal::LeaseLost { task: task(1), attempt: 1 }));
    world.ask(standing(1, Standing::Ready)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
    assert!(matches!(world.task(1).attempts[0].end, AttemptEnd::Lost(_)));
}

#[test]
fn every_write_under_a_stale_attempt_is_refused_with_lease_lost() {
    let mut world = world_with(1);
    world.claim(1, 1);
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    world.claim(1, 1);
    let stale = [
        complete(1, 1),
        fail(1, 1, true),
        Command::Start { task: task(1), attempt: 1 },
        Command::Heartbeat { task: task(1), attempt: 1, progress: None },
        Command::Release { task: task(1), attempt: 1, reason: "late".into() },
        complete(1, 3),
    ];
    for command in stale {
        assert_eq!(world.ask(command).map_err(|refusal| refusal.code()), Err("lease_lost"));
    }
    assert_eq!(world.phase(1), Phase::Running);
}

#[test]
fn the_attempt_that_ended_a_task_may_say_so_again_and_no_other_may() {
    let mut world = world_with(2);
    world.claim(1, 2);
    for _ in 0..2 {
        assert_eq!(world.ask(complete(1, 1)), Ok(Reply::Ended { phase: Phase::Completed }));
        assert_eq!(world.ask(fail(2, 1, false)), Ok(Reply::Ended { phase: Phase::Failed }));
    }
    let ended = Refusal::AlreadyEnded { task: task(1), phase: Phase::Completed };
    assert_eq!(world.ask(fail(1, 1, true)), Err(ended.clone()));
    let cancel = Command::Cancel { task: task(1), reason: "too late".into() };
    assert_eq!(world.ask(cancel), Err(ended));
    assert_eq!(world.ask(complete(1, 2)), Err(Refusal::LeaseLost { task: task(1), attempt: 2 }));
}

#[test]
fn a_cancelled_task_frees_its_agent_and_its_late_result_is_refused() {
    let mut world = world_with(1);
    world.claim(1, 1);
    let cancel = || Command::Cancel { task: task(1), reason: "enough".into() };
    assert_eq!(world.ask(cancel()), Ok(Reply::Ended { phase: Phase::Cancelled }));
    assert_eq!((world.held(1), world.reason(1).as_str()), (0, "enough"));
    assert_eq!(world.ask(cancel()), Ok(Reply::Ended { phase: Phase::Cancelled }));
    let ended = Refusal::AlreadyEnded { task: task(1), phase: Phase::Cancelled };
    assert_eq!(world.ask(complete(1, 1)), Err(ended));
}

#[test]
fn an_end_names_only_an_agent_that_held_the_lease() {
    let mut world = world_with(1);
    world.claim(1, 1);
    world.ask(fail(1, 1, true)).unwrap();
    world.ask(Command::Cancel { task: task(1), reason: "enough".into() }).unwrap();
    assert!(matches!(world.events.last(), Some(Event::TaskEnded { agent: None, .. })));
}

#[test]
fn a_result_that_is_too_large_is_refused_and_the_lease_stays() {
    let mut world = world_with(1);
    world.claim(1, 1);
    let result = Payload::inline(vec![0; INLINE_BYTES_MAX + 1]);
    let complete = Command::Complete { task: task(1), attempt: 1, result, usage: Usage::default() };
    assert_eq!(world.ask(complete).map_err(|refusal| refusal.code()), Err("invalid"));
    assert_eq!((world.phase(1), world.task(1).usage.clone()), (Phase::Running, Usage::default()));
}

#[test]
fn a_redriven_dead_letter_is_a_new_task_that_knows_where_it_came_from() {
    let mut world = world_with(0);
    let deadline = Some(at(world.now + 10));
    world.submit(TaskSpec { deadline, idempotency_key: Some("key".into()), ..spec(1) });
    world.pass(10);
    let redrive = Command::Redrive { task: task(1), new_task: task(2) };
    assert_eq!(world.ask(redrive), Ok(Reply::Submitted { task: task(2), duplicate: false }));
    assert_eq!(world.state.dead_letters().count(), 0);
    let spec = &world.task(2).spec;
    assert_eq!((spec.redriven_from, spec.deadline, &spec.idempotency_key), (Some(task(1)), None, &None));
    let again = Command::Redrive { task: task(1), new_task: task(3) };
    assert_eq!(world.ask(again), Err(Refusal::TaskUnknown(task(1))));
}

#[test]
fn a_refused_redrive_leaves_the_dead_letter() {
    let mut world = world_with(2);
    world.claim(1, 1);
    world.ask(fail(1, 1, false)).unwrap();
    let redrive = |new_task| Command::Redrive { task: task(1), new_task: task(new_task) };
    assert_eq!(world.ask(redrive(2)), Err(Refusal::TaskExists(task(2))));
    world.ask(Command::SetLimits { limits: Limits { node_depth_max: 1, ..Limits::default() } }).unwrap();
    assert_eq!(world.ask(redrive(3)).map_err(|refusal| refusal.code()), Err("full"));
    assert_eq!(world.state.dead_letters().count(), 1);
    assert_eq!(world.ask(Command::Purge { task: task(1) }), Ok(Reply::Done));
    assert_eq!(world.ask(Command::Purge { task: task(1) }), Err(Refusal::TaskUnknown(task(1))));
}

#[test]
fn a_lower_limit_of_dead_letters_lets_the_oldest_go_at_once() {
    let mut world = world_with(0);
    world
        .ask(Command::SetStanding { agent: agent(1), standing: Standing::Ready, reason: "".into() })
        .unwrap();
    for number in 1..=5 {
        world.submit(spec(number));
        world.claim(1, 1);
        world.ask(fail(number, 1, false)).unwrap();
    }
    world.ask(Command::SetLimits { limits: Limits { dead_letters_max: 2, ..Limits::default() } }).unwrap();
    let left: Vec<_> = world.state.dead_letters().map(|one| one.spec.id).collect();
    assert_eq!(left, [task(4), task(5)]);
}

#[test]
fn a_dead_letter_keeps_its_id_from_being_used_again_after_its_ending_is_forgotten() {
    let mut world = world_with(1);
    world.claim(1, 1);
    world.ask(fail(1, 1, false)).unwrap();
    // As many other ends as are remembered, and a page more.
    for number in 2..=(128 * 512 + 600) {
        world.submit(spec(number));
        world.ask(Command::Cancel { task: task(number), reason: "enough".into() }).unwrap();
    }
    assert_eq!(world.ask(complete(1, 1)), Err(Refusal::TaskUnknown(task(1))));
    assert_eq!(world.ask(submit(spec(1))), Err(Refusal::TaskExists(task(1))));
}

#[test]
fn reasons_and_progress_are_kept_within_bounds() {
    let mut world = world_with(1);
    world.claim(1, 1);
    let message = Some("é".repeat(REASON_BYTES_MAX).into());
    let progress = Some(synod_domain::task::Progress { percent: Some(250), message });
    world.ask(Command::Heartbeat { task: task(1), attempt: 1, progress }).unwrap();
    let kept = world.task(1).progress.clone().unwrap();
    assert_eq!(kept.percent, Some(100));
    assert!(kept.message.unwrap().len() <= REASON_BYTES_MAX + 3);
    let reason = "x".repeat(REASON_BYTES_MAX * 2).into();
    world.ask(Command::SetStanding { agent: agent(1), standing: Standing::Failed, reason }).unwrap();
    assert!(world.state.agent(agent(1)).unwrap().reason.len() <= REASON_BYTES_MAX + 3);
}

#[test]
fn a_claim_never_gives_more_than_the_free_slots() {
    let mut world = world_with(5);
    assert_eq!(world.claim(1, 100).len(), 2);
    assert_eq!(world.ask(claim(1, 100)), Ok(Reply::Claimed(Vec::new())));
}
