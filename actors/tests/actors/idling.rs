//! Time: what is due happens without anybody asking, and nothing happens while nothing is due.

use std::time::Duration;

use synod_domain::agent::PoolSpec;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Phase, Timeouts};
use tokio::time::Instant;

use crate::puppet::{complete_after, fail, until_stopped};
use crate::stage::{SECOND, Stage, pass, pool, settle};

#[tokio::test(start_paused = true)]
async fn nothing_is_proposed_while_nothing_is_due() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 20)).await;
    stage.pool(PoolSpec { max: 50, ..pool("others", 0) }).await;
    stage.submit_burst("coders", 50);
    stage.until_all_ended().await;
    settle().await;
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_nobody_can_do_is_not_asked_for_again_and_again() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { max: 5, ..pool("coders", 1) }).await;
    let mut task = stage.task("coders");
    task.demand = crate::stage::capabilities("gpu");
    stage.submit(task).await;
    settle().await;
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!((stage.asked() - before, stage.agents("coders").len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn failed_work_is_tried_again_when_its_backoff_is_over_and_then_given_up() {
    let stage = Stage::start(|_| async { fail(true) }).await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.retry = RetryPolicy {
        max_attempts: 3,
        initial: 100 * SECOND,
        factor_percent: 200,
        max: Duration::from_secs(3600),
    };
    let began = Instant::now();
    let task = stage.submit(task).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt, ended.failures), (Phase::Failed, 3, 3));
    // Half of 100 s and half of 200 s are fixed, the other halves are drawn.
    assert!(began.elapsed() >= 150 * SECOND && began.elapsed() <= 301 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_that_must_not_be_retried_is_not() {
    let stage = Stage::start(|_| async { fail(false) }).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Failed, 1));
}

#[tokio::test(start_paused = true)]
async fn each_timeout_fires_by_itself() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let once = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let mut running = stage.task("coders");
    running.timeouts = Timeouts { running: Some(70 * SECOND), ..Timeouts::default() };
    running.retry = once.clone();
    let mut waiting = stage.task("coders");
    waiting.timeouts = Timeouts { waiting: Some(20 * SECOND), ..Timeouts::default() };
    let mut deadline = stage.task("coders");
    deadline.deadline = Some(stage.world.clock.now().after(100 * SECOND));
    let mut silent = stage.task("coders");
    silent.timeouts = Timeouts { silence: Some(40 * SECOND), ..Timeouts::default() };
    silent.retry = once;
    let began = Instant::now();
    let running = stage.submit(running).await;
    let mut elapsed = Vec::new();
    for task in [waiting, deadline] {
        let task = stage.submit(task).await;
        let ended = stage.until_ended(task).await;
        assert_eq!(ended.phase(), Phase::TimedOut, "{ended:?}");
        elapsed.push(began.elapsed().as_secs());
    }
    assert_eq!(stage.phase(running), Phase::TimedOut);
    let silent = stage.submit(silent).await;
    let ended = stage.until_ended(silent).await;
    assert_eq!(ended.phase(), Phase::TimedOut, "{ended:?}");
    elapsed.push(began.elapsed().as_secs());
    assert_eq!(elapsed, [20, 100, 140]);
    // The ends came through ticks, one each or a few more, and not through polling.
    settle().await;
    let ticks = stage.journal.core().asked.lock().ticks;
    assert!((4..=8).contains(&ticks), "{ticks} ticks");
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.len()), 3);
}

#[tokio::test(start_paused = true)]
async fn attempt_is_told_when_it_is_stopped_at_the_latest() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.running = Some(50 * SECOND);
    task.deadline = Some(stage.world.clock.now().after(3600 * SECOND));
    let latest = stage.world.clock.now().after(50 * SECOND);
    stage.submit(task).await;
    settle().await;
    assert_eq!(stage.puppet.seen(|seen| seen.begun[0].deadline), Some(latest));
}

#[tokio::test(start_paused = true)]
async fn time_passes_again_after_the_journal_was_out_of_room() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    let mut task = stage.task("coders");
    stage.pool(PoolSpec { max: 1, ..pool("coders", 0) }).await;
    stage.faults(|faults| faults.no_room = true);
    task.timeouts.waiting = Some(5 * SECOND);
    let id = task.id;
    stage.apply(synod_domain::command::Command::Submit { spec: task.into() }).unwrap();
    let before = stage.journal.core().asked.lock().ticks;
    pass(30 * SECOND).await;
    let ticks = stage.journal.core().asked.lock().ticks - before;
    assert!((1..=51).contains(&ticks), "{ticks} ticks");
    stage.faults(|faults| faults.no_room = false);
    assert_eq!(stage.until_ended(id).await.phase(), Phase::TimedOut);
}
