//! Agents and system actors that fail, and what becomes of their work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use synod_actors::system::{System, World};
use synod_domain::agent::{AgentStatus, PoolSpec};
use synod_domain::command::Command;
use synod_domain::restart::{RestartKind, RestartPolicy};
use synod_domain::spread::Recovery;
use synod_domain::task::{AttemptEnd, Phase, REASON_BYTES_MAX};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use crate::puppet::{Prepare, Puppet, complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, settle};

/// Makes the agent that begins attempts panic, so many times: its handler says in the log that it begins.
struct PanicWhileBeginning(AtomicU32);

impl PanicWhileBeginning {
    /// The first of the two is there because tracing lets a single subscriber miss what another thread, which
    /// has none, came across first.
    fn times(times: u32) -> (tracing::Dispatch, DefaultGuard) {
        let silent = tracing::Dispatch::new(NoSubscriber::default());
        (silent, tracing::subscriber::set_default(Self(AtomicU32::new(times))))
    }
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl tracing::Subscriber for PanicWhileBeginning {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "synod_actors::agent"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        if words.0 == "beginning" {
            let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            assert!(left.is_err(), "the test wants this agent to panic");
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn agent_that_panics_is_restarted_and_its_work_redelivered_with_the_next_attempt() {
    let _guard = PanicWhileBeginning::times(1);
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let agent = stage.only_agent("coders").spec.id;
    let task = stage.submit(stage.task("coders")).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt, ended.failures), (Phase::Completed, 2, 0));
    let AttemptEnd::Lost(reason) = &ended.attempts[0].end else { panic!("{:?}", ended.attempts) };
    assert!(reason.contains("the test wants this agent to panic"), "{reason}");
    assert_eq!((stage.only_agent("coders").spec.id, stage.only_agent("coders").restarts), (agent, 1));
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_had_in_hand_when_it_panicked_is_stopped() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(PoolSpec { concurrency: 2, ..pool("coders", 1) }).await;
    let first = stage.submit(stage.task("coders")).await;
    settle().await;
    let _guard = PanicWhileBeginning::times(1);
    let second = stage.submit(stage.task("coders")).await;
    stage.until_all_ended().await;
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(first, 1)]);
    for task in [first, second] {
        assert_eq!(stage.until_ended(task).await.attempt, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn task_that_takes_every_agent_down_is_given_up_in_the_end() {
    let guard = PanicWhileBeginning::times(u32::MAX);
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Failed);
    drop(guard);
    let next = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(next).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn agent_that_cannot_start_is_failed_with_the_reason_and_tried_by_policy_and_then_by_the_steward() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    let failures = 6 + 6 + 3;
    let reason = format!("{} the disk is gone", "x".repeat(2 * REASON_BYTES_MAX));
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Fail(reason); failures].into());
    let began = Instant::now();
    let spec = PoolSpec { recovery: Recovery::Restart, ..pool("coders", 1) };
    stage.propose(Command::PutPool { spec: Arc::new(spec) }).await.unwrap();
    // Five restarts in the policy's minute.
    pass(50 * SECOND).await;
    assert_eq!(stage.puppet.seen(|seen| seen.prepared), 6);
    let agent = stage.only_agent("coders");
    assert_eq!(agent.status(), AgentStatus::Failed);
    assert!(agent.reason.ends_with("the disk is gone") && agent.reason.len() <= REASON_BYTES_MAX + 3);
    let commands = stage.journal.core().asked.lock().commands.clone();
    let longest = commands.iter().map(|command| match command {
        Command::SetStanding { reason, .. } => reason.len(),
        _ => 0,
    });
    assert!(longest.max().unwrap() <= REASON_BYTES_MAX + 3);
    // Then the steward, after one minute and after two more.
    stage.until_status(agent.spec.id, AgentStatus::Ready).await;
    assert_eq!(stage.puppet.seen(|seen| seen.prepared), failures + 1);
    let elapsed = began.elapsed().as_secs();
    assert!((180..=190).contains(&elapsed), "{elapsed} s");
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn agent_whose_start_panics_is_failed_and_tried_again() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Panic; 2].into());
    stage.pool(pool("coders", 1)).await;
    assert_eq!(stage.only_agent("coders").restarts, 2);
}

#[tokio::test(start_paused = true)]
async fn agent_whose_policy_wants_no_restart_rests() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Fail("no".to_owned())].into());
    let restart = RestartPolicy { kind: RestartKind::Temporary, ..RestartPolicy::default() };
    stage
        .propose(Command::PutPool { spec: Arc::new(PoolSpec { restart, ..pool("coders", 1) }) })
        .await
        .unwrap();
    pass(24 * 3600 * SECOND).await;
    assert_eq!(stage.puppet.seen(|seen| seen.prepared), 1);
    assert_eq!(stage.only_agent("coders").status(), AgentStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn record_of_a_failure_never_overtakes_the_life_that_follows() {
    for seed in 1..=20 {
        let puppet = Puppet::new(|work| complete_after(work, SECOND));
        let stage = Stage::start_seeded(seed, puppet).await;
        stage.pool(pool("coders", 1)).await;
        // The record's outcome is unknown at first, again and again, so that it is sent for a long time.
        stage.faults(|faults| (faults.lost, faults.unsure, faults.delay) = (60, 30, SECOND));
        let guard = PanicWhileBeginning::times(3);
        let tasks = stage.submit_burst("coders", 3);
        pass(300 * SECOND).await;
        drop(guard);
        stage.faults(|faults| (faults.lost, faults.unsure) = (0, 0));
        stage.until_all_ended().await;
        assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
        pass(SECOND).await;
        assert_eq!(stage.only_agent("coders").status(), AgentStatus::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn scheduler_that_is_started_again_takes_everything_up() {
    let mut stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    stage.system.step_down().await;
    let tasks = stage.submit_burst("coders", 10);
    let mut late = stage.task("coders");
    late.timeouts.waiting = Some(10 * SECOND);
    let late = stage.submit(late).await;
    stage.propose(Command::ScalePool { pool: name("coders"), target: 2 }).await.unwrap();
    pass(60 * SECOND).await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Pending));
    stage.system.lead(stage.journal.clone(), 2).await.unwrap();
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.phase(late), Phase::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn system_actors_that_panic_are_restarted_and_lose_no_work() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    for _ in 0..4 {
        let tasks = stage.submit_burst("coders", 4);
        // Whoever looks next panics: the router, the scheduler, an agent or the clockwork.
        stage.journal.broken_reads.store(1, Ordering::SeqCst);
        pass(SECOND).await;
        stage.until_all_ended().await;
        assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
        pass(120 * SECOND).await;
    }
    assert_eq!(*stage.system.failed().borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn system_whose_actors_keep_failing_says_so() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let mut failed = stage.system.failed();
    stage.journal.broken_reads.store(usize::MAX, Ordering::SeqCst);
    stage.submit_burst("coders", 1);
    let told = tokio::time::timeout(600 * SECOND, failed.wait_for(Option::is_some)).await;
    let reason = told.unwrap().unwrap().clone().unwrap();
    assert!(reason.contains("branch failed") && reason.contains("too often"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn node_that_starts_again_takes_up_no_lease_of_its_earlier_life() {
    let puppet = Puppet::new(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    });
    let stage = Stage::start_seeded(1, puppet).await;
    stage.pool(pool("coders", 2)).await;
    let before: Vec<_> = stage.agents("coders").iter().map(|agent| agent.spec.clone()).collect();
    let tasks = stage.submit_burst("coders", 2);
    settle().await;
    stage.system.stop(Duration::ZERO).await;
    let again = World { generation: 2, ..stage.world.clone() };
    let mut system = System::start(again).await.unwrap();
    system.lead(stage.journal.clone(), 2).await.unwrap();
    let unfinished = stage.world.clone();
    let waiting = async {
        let mut events = unfinished.hub.subscribe();
        while unfinished.read(|state| state.unfinished() > 0) {
            events.next().await;
        }
    };
    tokio::time::timeout(3600 * SECOND, waiting).await.unwrap();
    let ended: Vec<_> =
        tasks.iter().map(|task| stage.world.read(|state| state.task(*task).cloned())).collect();
    assert!(ended.iter().flatten().all(|task| task.attempt == 2 && task.phase() == Phase::Completed));
    let after: Vec<_> = stage.world.read(|state| state.agents().map(|agent| agent.spec.clone()).collect());
    assert_eq!(after, before);
}
