//! Examples of accepting work: limits, duplicates, keys, lanes.

use synod_domain::capability::CAPABILITIES_MAX;
use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Reply;
use synod_domain::retry::{ATTEMPTS_MAX, RetryPolicy};
use synod_domain::task::{Lane, TaskSpec};

use super::world::{World, at, capabilities, claim, complete, millis, name, run, spec, submit, task};

fn keyed(number: u128) -> TaskSpec {
    TaskSpec { idempotency_key: Some("key".into()), ..spec(number) }
}

#[test]
fn each_limit_refuses_with_its_own_bound_and_accepts_again_when_there_is_room() {
    let cases = [
        (Limits { mailbox_depth_max: 1, ..Limits::default() }, Bound::Mailbox("open".to_owned()), 1),
        (Limits { workspace_depth_max: 1, ..Limits::default() }, Bound::Workspace(Name::default()), 1),
        (Limits { node_depth_max: 1, ..Limits::default() }, Bound::Node, 1),
        // One payload of seven bytes fits, two do not.
        (Limits { payload_bytes_max: 13, ..Limits::default() }, Bound::PayloadBytes, 13),
    ];
    for (limits, bound, limit) in cases {
        let mut world = World::new(limits);
        world.submit(spec(1));
        assert_eq!(world.ask(submit(spec(2))), Err(Refusal::Full { bound, limit }));
        world.claim(1, 1);
        world.ask(complete(1, 1)).unwrap();
        world.submit(spec(2));
    }
}

#[test]
fn work_over_a_limit_goes_on_although_no_more_is_accepted() {
    let mut world = World::new(Limits::default());
    (1..=2).for_each(|number| world.submit(spec(number)));
    world.ask(Command::SetLimits { limits: Limits { node_depth_max: 0, ..Limits::default() } }).unwrap();
    assert_eq!(world.ask(claim(1, 2)).map(|reply| super::world::Claimed::claimed(&reply).len()), Ok(2));
    world.ask(complete(1, 1)).unwrap();
}

#[test]
fn the_same_key_with_the_same_content_is_the_same_task_even_after_its_end() {
    let mut world = World::new(Limits::default());
    world.submit(keyed(1));
    let duplicate = Ok(Reply::Submitted { task: task(1), duplicate: true });
    assert_eq!(world.ask(submit(keyed(2))), duplicate);
    world.claim(1, 1);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.ask(submit(keyed(3))), duplicate);
    assert_eq!(world.state.unfinished(), 0);
}

#[test]
fn the_same_key_with_other_content_is_refused_and_another_workspace_has_its_own_keys() {
    let mut world = World::new(Limits::default());
    world.submit(keyed(1));
    let other = TaskSpec { payload: Payload::inline(*b"other"), ..keyed(2) };
    assert_eq!(world.ask(submit(other)), Err(Refusal::IdempotencyConflict { task: task(1) }));
    world.submit(TaskSpec { workspace: name("elsewhere"), ..keyed(3) });
}

#[test]
fn a_key_is_forgotten_after_its_time_but_not_while_its_run_is_open() {
    let mut world = World::new(Limits { idempotency: millis(1000), ..Limits::default() });
    let start = Command::StartRun { run: run(1), fleet: name("fleet"), plan: Payload::default() };
    world.ask(start).unwrap();
    world.submit(keyed(1));
    world.submit(TaskSpec { idempotency_key: Some("of run".into()), run: Some(run(1)), ..spec(2) });
    world.pass(1000);
    assert_eq!(world.state.task_of_key(&Name::default(), &"key".into()), Some(task(1)));
    world.pass(1);
    assert_eq!(world.state.task_of_key(&Name::default(), &"key".into()), None);
    world.submit(keyed(3));
    world.pass(100_000);
    assert_eq!(world.state.task_of_key(&Name::default(), &"of run".into()), Some(task(2)));
    world.ask(Command::EndRun { run: run(1), summary: "over".into() }).unwrap();
    world.pass(1002);
    assert_eq!(world.state.task_of_key(&Name::default(), &"of run".into()), None);
}

#[test]
fn the_id_of_a_task_is_used_once() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    assert_eq!(world.ask(submit(spec(1))), Err(Refusal::TaskExists(task(1))));
    world.ask(Command::Cancel { task: task(1), reason: "enough".into() }).unwrap();
    assert_eq!(world.ask(submit(spec(1))), Err(Refusal::TaskExists(task(1))));
}

#[test]
fn a_field_outside_its_bounds_is_refused_by_name() {
    let mut world = World::new(Limits::default());
    let now = at(world.now);
    let retry = |max_attempts| RetryPolicy { max_attempts, ..RetryPolicy::default() };
    let names: Vec<String> = (0..=CAPABILITIES_MAX).map(|number| format!("c{number}")).collect();
    let many = capabilities(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let cases = [
        ("payload", TaskSpec { payload: Payload::inline(vec![0; INLINE_BYTES_MAX + 1]), ..spec(1) }),
        ("payload", TaskSpec { payload: Payload::Blob { hash: [0; 32], size: u64::MAX }, ..spec(1) }),
        ("retry.max_attempts", TaskSpec { retry: retry(0), ..spec(1) }),
        ("retry.max_attempts", TaskSpec { retry: retry(ATTEMPTS_MAX + 1), ..spec(1) }),
        ("capabilities", TaskSpec { demand: many, ..spec(1) }),
        ("labels", TaskSpec { labels: [(name("l"), "x".repeat(5000).into())].into(), ..spec(1) }),
        ("idempotency_key", TaskSpec { idempotency_key: Some("".into()), ..spec(1) }),
        ("idempotency_key", TaskSpec { idempotency_key: Some("k".repeat(257).into()), ..spec(1) }),
        ("deadline", TaskSpec { deadline: Some(now), ..spec(1) }),
    ];
    for (field, spec) in cases {
        match world.ask(submit(spec)) {
            Err(Refusal::Invalid { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert_eq!(world.state.unfinished(), 0);
}

#[test]
fn a_waiting_task_moved_to_another_lane_is_taken_from_there() {
    let mut world = World::new(Limits::default());
    (1..=2).for_each(|number| world.submit(spec(number)));
    world.ask(Command::SetLane { task: task(2), lane: Lane::Critical }).unwrap();
    assert_eq!(world.claim(1, 2), [(task(2), 1), (task(1), 1)]);
}

#[test]
fn work_that_comes_back_goes_to_its_old_place() {
    let mut world = World::new(Limits::default());
    (1..=3).for_each(|number| world.submit(spec(number)));
    world.claim(1, 1);
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
}
