//! How a node leaves: work in hand is finished or given back, and everything ends within bounds.

use std::time::Duration;

use synod_actors::farewell::UNAGREED_MAX;
use synod_domain::agent::{AgentStatus, PoolSpec};
use synod_domain::command::Command;
use synod_domain::task::{AttemptEnd, Phase};
use tokio::time::Instant;

use crate::puppet::{Prepare, complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, settle};

#[tokio::test(start_paused = true)]
async fn work_that_ends_in_time_ends_and_nothing_new_is_begun() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let tasks = stage.submit_burst("coders", 5);
    settle().await;
    let began = Instant::now();
    let (world, puppet) = (stage.world.clone(), stage.puppet.clone());
    stage.system.stop(60 * SECOND).await;
    assert_eq!(began.elapsed().as_secs(), 9);
    let phases: Vec<_> =
        tasks.iter().map(|task| world.read(|state| state.task(*task).unwrap().phase())).collect();
    assert_eq!(phases[..2], [Phase::Completed; 2]);
    assert_eq!(phases[2..], [Phase::Pending; 3]);
    assert_eq!(puppet.seen(|seen| seen.begun.len()), 2);
    assert!(world.read(|state| state.agents().all(|agent| agent.status() == AgentStatus::Offline)));
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_too_long_is_stopped_and_given_back_unharmed() {
    let stage = Stage::start(|work| async move {
        let stop = work.stop.clone();
        let finish = until_stopped(work).await;
        assert!(stop.is_cancelled());
        // Takes a while to leave.
        tokio::time::sleep(2 * SECOND).await;
        finish
    })
    .await;
    stage.pool(PoolSpec { concurrency: 200, ..pool("coders", 1) }).await;
    let tasks = stage.submit_burst("coders", 200);
    settle().await;
    stage.faults(|faults| faults.delay = SECOND / 10);
    let began = Instant::now();
    let (world, puppet) = (stage.world.clone(), stage.puppet.clone());
    stage.system.stop(5 * SECOND).await;
    assert!(began.elapsed() < 8 * SECOND, "{:?}", began.elapsed());
    for task in tasks {
        let task = world.read(|state| state.task(task).cloned()).unwrap();
        assert_eq!((task.phase(), task.losses, task.failures), (Phase::Pending, 0, 0));
        assert!(matches!(task.attempts[0].end, AttemptEnd::Lost(_)));
    }
    // Nothing runs any more when the stop returns.
    assert!(puppet.seen(|seen| seen.running.values().all(|tasks| tasks.is_empty())));
}

#[tokio::test(start_paused = true)]
async fn stop_is_bounded_although_an_attempt_never_stops_and_the_journal_never_answers() {
    let stage = Stage::start(|_| std::future::pending()).await;
    stage.pool(pool("coders", 1)).await;
    stage.submit_burst("coders", 1);
    settle().await;
    stage.faults(|faults| faults.delay = 24 * 3600 * SECOND);
    let began = Instant::now();
    stage.system.stop(5 * SECOND).await;
    assert!(began.elapsed() < 60 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_once_for_what_cannot_be_agreed_however_patient_it_is_with_work() {
    let stage = Stage::start(|work| complete_after(work, 20 * SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    stage.pool(pool("idlers", 2)).await;
    stage.submit_burst("coders", 3);
    settle().await;
    stage.faults(|faults| faults.delay = 24 * 3600 * SECOND);
    let (began, puppet) = (Instant::now(), stage.puppet.clone());
    stage.system.stop(3600 * SECOND).await;
    assert_eq!(began.elapsed().as_secs(), UNAGREED_MAX.as_secs());
    assert!(puppet.seen(|seen| seen.running.values().all(|tasks| tasks.is_empty())));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_out_a_pause_of_the_journal_that_ends_in_time() {
    let stage = Stage::start(|work| complete_after(work, 20 * SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit_burst("coders", 1)[0];
    settle().await;
    stage.faults(|faults| faults.delay = UNAGREED_MAX - SECOND);
    let world = stage.world.clone();
    stage.system.stop(3600 * SECOND).await;
    assert_eq!(world.read(|state| state.task(task).unwrap().phase()), Phase::Completed);
    assert!(world.read(|state| state.agents().all(|agent| agent.status() == AgentStatus::Offline)));
}

#[tokio::test(start_paused = true)]
async fn agent_that_is_being_started_leaves_at_once_and_does_not_call_itself_ready_later() {
    let stage = Stage::start(until_stopped).await;
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Hang].into());
    let spec = pool("coders", 1);
    stage.propose(Command::PutPool { spec: spec.into() }).await.unwrap();
    settle().await;
    let (world, began) = (stage.world.clone(), Instant::now());
    stage.system.stop(60 * SECOND).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    pass(600 * SECOND).await;
    let statuses: Vec<_> = world.read(|state| state.agents().map(|agent| agent.status()).collect());
    assert_eq!(statuses, [AgentStatus::Offline]);
}

#[tokio::test(start_paused = true)]
async fn lease_granted_while_its_agent_is_asked_to_leave_is_finished_first() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.submit_burst("coders", 1)[0];
    // The claim is on its way when the agent is asked to leave, and is written before that.
    pass(SECOND / 2).await;
    let none = PoolSpec { max: 1, ..pool("coders", 0) };
    stage.apply(Command::PutPool { spec: none.into() }).unwrap();
    stage.apply(Command::ScalePool { pool: name("coders"), target: 0 }).unwrap();
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt, ended.losses), (Phase::Completed, 1, 0));
    stage.until("the agent leaves", |state| state.agents().count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn node_without_pools_stops_at_once() {
    let stage = Stage::start(until_stopped).await;
    let began = Instant::now();
    stage.system.stop(3600 * SECOND).await;
    assert!(began.elapsed() < Duration::from_millis(10));
}
