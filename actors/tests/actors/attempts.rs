//! Attempts in the hands of their agents: what stops them, what they say, and how they end.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use synod_actors::ports::{Finish, Report};
use synod_domain::agent::PoolSpec;
use synod_domain::budget::amount::{Amount, Measure};
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{AttemptEnd, Outcome, Phase, REASON_BYTES_MAX, Usage};
use tokio::time::Instant;

use crate::puppet::{complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, settle};

fn completed() -> Finish {
    Finish::Completed { result: Bytes::from_static(b"null") }
}

#[tokio::test(start_paused = true)]
async fn cancelled_task_stops_its_attempt_and_frees_its_agent() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let first = stage.submit(stage.task("coders")).await;
    let second = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.propose(Command::Cancel { task: first, reason: "enough".into() }).await.unwrap();
    settle().await;
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(first, 1)]);
    assert_eq!((stage.phase(first), stage.phase(second)), (Phase::Cancelled, Phase::Running));
}

#[tokio::test(start_paused = true)]
async fn attempt_that_lost_its_lease_is_stopped_and_the_next_one_waits_until_it_is_over() {
    // Each attempt takes ten seconds to stop.
    let stage = Stage::start(|work| async move {
        if work.attempt > 1 {
            return completed();
        }
        work.stop.cancelled().await;
        tokio::time::sleep(10 * SECOND).await;
        completed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.running = Some(30 * SECOND);
    task.retry.initial = SECOND;
    let began = Instant::now();
    let task = stage.submit(task).await;
    let ended = stage.until_ended(task).await;
    // The first attempt's late word does not count, and the puppet would not have stood for two at once.
    assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 2));
    assert!(matches!(ended.attempts[0].end, AttemptEnd::Failed(_)));
    assert_eq!(began.elapsed().as_secs(), 40);
    assert_eq!(stage.puppet.seen(|seen| (seen.stopped.clone(), seen.running_most)), (vec![(task, 1)], 1));
}

#[tokio::test(start_paused = true)]
async fn attempt_that_does_not_stop_is_dropped_and_its_agent_goes_on() {
    let stage = Stage::start(|work| async move {
        if work.attempt == 1 {
            std::future::pending::<()>().await;
        }
        completed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.running = Some(SECOND);
    let task = stage.submit(task).await;
    let ended = stage.until_ended(task).await;
    assert!(matches!(ended.attempts[0].end, AttemptEnd::Failed(_)));
    let ended_again = stage.submit(stage.task("coders")).await;
    // Its first attempt hangs as well; with its agent's slot it would take the pool with it.
    stage.propose(Command::Cancel { task: ended_again, reason: "enough".into() }).await.unwrap();
    pass(61 * SECOND).await;
    assert!(stage.puppet.seen(|seen| seen.running.values().all(|tasks| tasks.is_empty())));
}

#[tokio::test(start_paused = true)]
async fn panic_is_a_failed_attempt_with_its_words_as_reason() {
    let stage = Stage::start(|work| async move {
        assert!(work.attempt > 1, "out of luck");
        completed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 2));
    assert_eq!(ended.attempts[0].end, AttemptEnd::Failed("it panicked: out of luck".into()));
    assert_eq!(stage.only_agent("coders").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn runtime_that_stops_of_itself_has_failed() {
    let stage = Stage::start(|_| async { Finish::Stopped }).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Failed, 3));
    assert_eq!(stage.puppet.seen(|seen| seen.begun.len()), 3);
}

#[tokio::test(start_paused = true)]
async fn end_that_finds_no_room_is_told_until_it_is_recorded_and_the_work_is_done_once() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.faults(|faults| faults.no_room = true);
    pass(60 * SECOND).await;
    assert_eq!(stage.phase(task), Phase::Running);
    stage.faults(|faults| faults.no_room = false);
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
    assert_eq!(stage.puppet.seen(|seen| seen.begun.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn reason_is_bounded_and_keeps_its_end() {
    let stage = Stage::start(|_| async {
        let reason = format!("{}{}", "x".repeat(3 * REASON_BYTES_MAX), " the end");
        Finish::Failed { reason, retryable: false }
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    stage.until_ended(task).await;
    let commands = stage.journal.core().asked.lock().commands.clone();
    let mut longest = commands.iter().filter_map(|command| match command {
        Command::Fail { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let reason = longest.next_back().unwrap();
    assert!(reason.len() <= REASON_BYTES_MAX + '…'.len_utf8() && reason.ends_with(" the end"));
}

fn is_heartbeat(command: &Command) -> bool {
    matches!(command, Command::Heartbeat { .. })
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_the_log_at_most_once_a_second_and_the_newest_does() {
    let stage = Stage::start(|work| async move {
        for percent in 1..=100 {
            let message = Some("x".repeat(2 * REASON_BYTES_MAX));
            let _ = work.reports.try_send(Report::Progress { percent: Some(percent), message });
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        until_stopped(work).await
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    pass(20 * SECOND).await;
    let told = stage.asked_for(is_heartbeat);
    assert!((9..=12).contains(&told), "{told} heartbeats");
    let progress = stage.read(|state| state.task(task).unwrap().progress.clone()).unwrap();
    assert_eq!(progress.percent, Some(100));
    assert!(progress.message.unwrap().len() <= REASON_BYTES_MAX + '…'.len_utf8());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_lease_and_their_absence_loses_it() {
    let stage = Stage::start(|work| async move {
        for _ in 0..100 {
            let _ = work.reports.try_send(Report::Heartbeat);
            tokio::time::sleep(SECOND).await;
        }
        until_stopped(work).await
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    // Nothing is held against anybody in the grace after a start.
    pass(60 * SECOND).await;
    let mut task = stage.task("coders");
    task.timeouts.silence = Some(5 * SECOND);
    task.retry = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let began = Instant::now();
    let task = stage.submit(task).await;
    pass(90 * SECOND).await;
    assert_eq!(stage.phase(task), Phase::Running);
    assert_eq!(stage.until_ended(task).await.phase(), Phase::TimedOut);
    let elapsed = began.elapsed().as_secs();
    assert!((103..=106).contains(&elapsed), "{elapsed} s");
}

#[tokio::test(start_paused = true)]
async fn work_without_a_limit_of_silence_costs_no_heartbeats() {
    let stage = Stage::start(|work| async move {
        for _ in 0..30 {
            let _ = work.reports.try_send(Report::Heartbeat);
            tokio::time::sleep(SECOND).await;
        }
        completed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    stage.until_ended(task).await;
    assert_eq!(stage.asked_for(is_heartbeat), 0);
}

/// In real time, because simulated time stands still while anybody is busy.
#[tokio::test]
async fn flood_of_reports_does_not_keep_a_lease_from_being_renewed() {
    let stage = Stage::start(|work| async move {
        let over = Instant::now() + SECOND;
        // Reports each time it is looked at, and wants to be looked at again at once.
        std::future::poll_fn(|context| {
            let _ = work.reports.try_send(Report::Heartbeat);
            if Instant::now() > over {
                return Poll::Ready(completed());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.silence = Some(SECOND / 4);
    stage.submit(task).await;
    stage.until_all_ended().await;
    let told = stage.asked_for(is_heartbeat);
    assert!(told >= 4, "{told} heartbeats in a second");
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_while_the_journal_is_slow_with_a_heartbeat() {
    let stage = Stage::start(|work| async move {
        let _ = work.reports.try_send(Report::Heartbeat);
        let began = Instant::now();
        let finish = complete_after(work, SECOND).await;
        assert!(began.elapsed() < 2 * SECOND);
        finish
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.silence = Some(600 * SECOND);
    stage.submit(task).await;
    stage.faults(|faults| faults.delay = 20 * SECOND);
    stage.until_all_ended().await;
    assert_eq!(stage.asked_for(|command| matches!(command, Command::Fail { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn attempt_whose_heartbeat_is_refused_stops() {
    let stage = Stage::start(|work| {
        async move {
            loop {
                let _ = work.reports.try_send(Report::Heartbeat);
                tokio::select! {
                    biased;
                    () = work.stop.cancelled() => return Finish::Stopped,
                    () = tokio::time::sleep(SECOND) => {}
                }
            }
        }
        .boxed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let mut task = stage.task("coders");
    task.timeouts.silence = Some(10 * SECOND);
    let task = stage.submit(task).await;
    settle().await;
    stage.apply(Command::Cancel { task, reason: "enough".into() }).unwrap();
    pass(5 * SECOND).await;
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(task, 1)]);
}

#[tokio::test(start_paused = true)]
async fn usage_is_added_up_and_told_with_the_end() {
    let stage = Stage::start(|work| async move {
        for _ in 0..10 {
            let usage = Usage { tokens_in: 3, tokens_out: 2, cost_microusd: 1 };
            work.reports.send(Report::Usage { usage, model: None }).await.unwrap();
        }
        completed()
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    let ended = stage.until_ended(task).await;
    assert_eq!(ended.usage, Usage { tokens_in: 30, tokens_out: 20, cost_microusd: 10 });
}

#[tokio::test(start_paused = true)]
async fn a_zero_that_was_reported_counts_however_short_the_attempt_and_silence_does_not() {
    for (speaks, settled) in [(true, 0), (false, 700)] {
        let stage = Stage::start(move |work| async move {
            if speaks {
                work.reports.send(Report::Usage { usage: Usage::default(), model: None }).await.unwrap();
            }
            completed()
        })
        .await;
        stage.pool(pool("coders", 1)).await;
        let spec = BudgetSpec {
            name: name("purse"),
            scope: Scope::Global,
            limits: vec![Limit { measure: Measure::Tokens, most: 1_000, window: Window::Whole }],
            enforcement: Enforcement::Hard,
            warn_percent: WARN_PERCENT,
            note: None,
        };
        stage.propose(Command::Budget(BudgetCommand::Put { spec: Arc::new(spec) })).await.unwrap();
        let estimate = Amount { tokens: 700, ..Amount::default() };
        let settings = BudgetSettings { estimate, ..BudgetSettings::default() };
        stage.propose(Command::Budget(BudgetCommand::Configure { settings })).await.unwrap();
        let task = stage.submit(stage.task("coders")).await;
        assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
        let spent = stage.world.read(|state| {
            let purse = state.budget(&name("purse")).unwrap();
            purse.lines[0].tally.sums(Window::Whole, state.now()).settled
        });
        assert_eq!(spent, settled, "it spoke: {speaks}");
    }
}

#[tokio::test(start_paused = true)]
async fn result_too_large_for_the_store_fails_with_the_reason() {
    let stage =
        Stage::start(|_| async { Finish::Completed { result: Bytes::from(vec![b'1'; 100_000]) } }).await;
    stage.pool(PoolSpec { concurrency: 2, ..pool("coders", 1) }).await;
    let mut task = stage.task("coders");
    task.retry.max_attempts = 1;
    let task = stage.submit(task).await;
    let ended = stage.until_ended(task).await;
    let reason: Arc<str> = "its result: there is no blob store".into();
    assert_eq!(ended.end().unwrap().outcome, Outcome::Failed { reason });
}
