//! Examples of time: the four timeouts, backoff, and grace after a start.

use synod_domain::agent::Standing;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::refusal::Refusal;
use synod_domain::retry::RetryPolicy;
use synod_domain::state::State;
use synod_domain::task::{Phase, TaskSpec, TaskStatus, Timeouts};

use super::world::{World, agent, at, claim, fail, millis, node, spec, standing, start_node, submit, task};

/// One attempt, so that a timeout of an attempt ends the task.
fn once(timeouts: Timeouts) -> TaskSpec {
    TaskSpec { timeouts, retry: RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }, ..spec(1) }
}

fn waiting(limit: u64) -> Timeouts {
    Timeouts { waiting: Some(millis(limit)), ..Timeouts::default() }
}

fn running(limit: u64) -> Timeouts {
    Timeouts { running: Some(millis(limit)), ..Timeouts::default() }
}

fn silence(limit: u64) -> Timeouts {
    Timeouts { silence: Some(millis(limit)), ..Timeouts::default() }
}

fn world() -> World {
    World::new(Limits { grace: millis(1000), ..Limits::default() })
}

#[test]
fn a_deadline_ends_a_task_even_while_it_runs_and_frees_its_agent() {
    let mut world = world();
    world.submit(TaskSpec { deadline: Some(at(world.now + 500)), ..spec(1) });
    world.claim(1, 1);
    world.pass(499);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!((world.phase(1), world.held(1)), (Phase::TimedOut, 0));
    assert_eq!(world.reason(1), "its deadline passed");
    let told = world.events.iter().any(|event| {
        matches!(event, Event::TaskEnded { phase: Phase::TimedOut, agent: Some(holder), .. } if *holder == agent(1))
    });
    assert!(told, "the holder is named, so that it can be stopped");
}

#[test]
fn a_task_that_nobody_starts_in_time_is_timed_out() {
    let mut world = world();
    world.submit(once(waiting(300)));
    assert_eq!(world.state.next_due(), Some(at(world.now + 300)));
    world.pass(300);
    assert_eq!(
        (world.phase(1), world.reason(1).as_str()),
        (Phase::TimedOut, "no agent started it within 300ms")
    );
}

#[test]
fn a_claim_without_a_start_does_not_stop_the_waiting_timeout_and_a_start_does() {
    let mut world = world();
    world.submit(once(waiting(300)));
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.pass(300);
    assert_eq!((world.phase(1), world.held(1)), (Phase::TimedOut, 0));

    let mut world = self::world();
    world.submit(once(waiting(300)));
    world.claim(1, 1);
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    world.pass(10_000);
    assert_eq!(world.phase(1), Phase::Pending);
}

#[test]
fn an_attempt_that_runs_too_long_fails_and_the_time_counts_from_its_start() {
    let mut world = world();
    world.submit(once(running(300)));
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.pass(200);
    world.ask(Command::Start { task: task(1), attempt: 1 }).unwrap();
    world.pass(299);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(
        (world.phase(1), world.reason(1).as_str()),
        (Phase::TimedOut, "attempt 1 ran longer than 300ms")
    );
}

#[test]
fn a_heartbeat_renews_the_lease_and_silence_fails_the_attempt() {
    let mut world = world();
    world.submit(once(silence(300)));
    world.claim(1, 1);
    for _ in 0..5 {
        world.pass(299);
        world.ask(Command::Heartbeat { task: task(1), attempt: 1, progress: None }).unwrap();
    }
    world.pass(299);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(
        (world.phase(1), world.reason(1).as_str()),
        (Phase::TimedOut, "attempt 1 gave no heartbeat for 300ms")
    );
}

#[test]
fn a_timeout_of_nothing_is_refused() {
    let mut world = world();
    for timeouts in [waiting(0), running(0), silence(0)] {
        let answer = world.ask(submit(once(timeouts)));
        assert!(matches!(answer, Err(Refusal::Invalid { field, .. }) if field == "timeouts"));
    }
}

#[test]
fn a_failed_attempt_backs_off_and_then_waits_in_its_mailbox_again() {
    let mut world = world();
    world.submit(spec(1));
    world.claim(1, 1);
    world.ask(fail(1, 1, true)).unwrap();
    let TaskStatus::BackingOff { until } = world.task(1).status else { panic!("it backs off") };
    assert!((at(world.now + 500)..=at(world.now + 1000)).contains(&until));
    assert_eq!(world.claim(1, 1), []);
    world.pass(until.as_millis() - world.now);
    assert!(matches!(world.events.last(), Some(Event::TaskReady { .. })));
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
}

#[test]
fn after_a_start_of_a_node_nobody_is_declared_silent_before_the_grace_is_over() {
    let mut world = world();
    world.submit(once(silence(300)));
    world.claim(1, 1);
    world.pass(100);
    world.ask(start_node(9, 1)).unwrap();
    world.pass(999);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(world.phase(1), Phase::TimedOut);
}

#[test]
fn after_a_change_of_the_leader_a_timeout_longer_than_the_grace_counts_from_its_beginning() {
    for beginning in [start_node(9, 1), Command::BeginTerm { node: node(9), term: 1 }] {
        let mut world = world();
        world.submit(once(silence(5000)));
        world.submit(TaskSpec { id: task(2), ..once(silence(5000)) });
        world.claim(1, 2);
        world.pass(4000);
        world.ask(beginning).unwrap();
        world.pass(10);
        world.ask(Command::Heartbeat { task: task(2), attempt: 1, progress: None }).unwrap();
        // Neither at the end of the timeout from the last word that an earlier leader heard, nor of the grace.
        world.pass(4989);
        assert_eq!(world.phase(1), Phase::Running);
        world.pass(1);
        assert_eq!((world.phase(1), world.phase(2)), (Phase::TimedOut, Phase::Running));
        // Whoever found the new leader has nothing more forgiven than its timeout.
        world.pass(10);
        assert_eq!(world.phase(2), Phase::TimedOut);
    }
}

#[test]
fn silence_of_an_attempt_that_began_after_the_start_is_declared_in_its_own_time() {
    let mut world = world();
    world.ask(start_node(9, 1)).unwrap();
    world.pass(10);
    world.submit(once(silence(300)));
    world.claim(1, 1);
    world.pass(299);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(world.phase(1), Phase::TimedOut);
}

#[test]
fn a_restored_replica_declares_silence_in_the_same_order_as_the_others() {
    let mut world = world();
    world.ready_agent(2);
    let soon = RetryPolicy { initial: millis(100), ..RetryPolicy::default() };
    world.submit(TaskSpec { timeouts: silence(300), ..spec(1) });
    world.submit(TaskSpec { retry: soon, ..spec(2) });
    world.claim(1, 1);
    world.ask(start_node(9, 1)).unwrap();
    // The timer of task 1 has moved to the end of the grace; task 2 comes back before that.
    world.pass(400);
    world.claim(2, 1);
    world.ask(fail(2, 1, true)).unwrap();
    let rows = world.state.rows().into_iter().map(|(_, row)| row);
    let mut restored = State::restore(rows).unwrap();
    let late = synod_domain::command::Entry { at: at(world.now + 10_000), seed: 5, commands: Vec::new() };
    assert_eq!(restored.apply(&late), world.state.apply(&late));
    assert_eq!(restored.rows(), world.state.rows());
}

#[test]
fn grace_once_given_is_not_taken_back() {
    let mut world = world();
    world.submit(once(silence(300)));
    world.claim(1, 1);
    world.ask(start_node(9, 1)).unwrap();
    world.ask(Command::SetLimits { limits: Limits { grace: millis(0), ..Limits::default() } }).unwrap();
    world.ask(start_node(9, 2)).unwrap();
    world.pass(999);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(world.phase(1), Phase::TimedOut);
}

#[test]
fn time_does_not_go_back_with_the_clock_of_another_leader() {
    let mut world = world();
    world.now -= 5000;
    world.submit(spec(1));
    assert_eq!(world.task(1).submitted_at, at(world.now + 5000));
}

#[test]
fn an_agent_that_starts_or_drains_takes_nothing_new_and_keeps_what_it_has() {
    let mut world = world();
    world.submit(spec(1));
    world.submit(spec(2));
    world.claim(1, 1);
    for not_ready in [Standing::Draining, Standing::Starting] {
        world.ask(standing(1, not_ready)).unwrap();
        assert!(matches!(world.ask(claim(1, 1)), Err(Refusal::AgentUnavailable { .. })));
        assert_eq!(world.held(1), 1);
    }
}
