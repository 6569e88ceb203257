//! A router that cannot keep up misses happenings; nothing else is missed with them.

use synod_actors::events::Heard;
use synod_actors::ports::{Finish, Work};
use synod_domain::agent::{AgentStatus, PoolSpec, Standing};
use synod_domain::command::Command;
use synod_domain::spread::Recovery;
use synod_domain::task::{Lane, Phase};

use crate::puppet::{Prepare, complete_after, until_stopped};
use crate::stage::{SECOND, Stage, capabilities, name, pass, pool, settle};

/// A stage, and what makes more happenings than the hub holds, in one moment in which nobody else runs.
async fn stage_with_noise<F>(acting: impl Fn(Work) -> F + Send + Sync + 'static) -> (Stage, impl Fn(&Stage))
where
    F: Future<Output = Finish> + Send + 'static,
{
    let stage = Stage::start(acting).await;
    stage.pool(PoolSpec { max: 1, ..pool("noise", 0) }).await;
    let mut noise = stage.task("noise");
    noise.demand = capabilities("nobody");
    let task = stage.submit(noise).await;
    let drown = move |stage: &Stage| {
        for lane in [Lane::Low, Lane::High].into_iter().cycle().take(5000) {
            stage.apply(Command::SetLane { task, lane }).unwrap();
        }
    };
    (stage, drown)
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_falls_behind_is_told_how_far() {
    let (stage, drown) = stage_with_noise(until_stopped).await;
    let mut events = stage.world.hub.subscribe();
    drown(&stage);
    assert_eq!(events.next().await, Heard::Missed(5000 - 4096));
    assert!(matches!(events.next().await, Heard::Happening(_)));
}

#[tokio::test(start_paused = true)]
async fn work_submitted_while_nobody_listened_is_done() {
    let (stage, drown) = stage_with_noise(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let tasks = stage.submit_burst("coders", 4);
    drown(&stage);
    stage
        .until("the work is done", |state| {
            tasks.iter().all(|task| state.task(*task).is_some_and(|task| task.phase() == Phase::Completed))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn cancel_that_was_missed_stops_its_attempt() {
    let (stage, drown) = stage_with_noise(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.apply(Command::Cancel { task, reason: "enough".into() }).unwrap();
    drown(&stage);
    settle().await;
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(task, 1)]);
}

#[tokio::test(start_paused = true)]
async fn lease_that_was_missed_is_taken_up() {
    let (stage, drown) = stage_with_noise(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let agent = stage.only_agent("coders").spec.id;
    let task = stage.submit_burst("coders", 1)[0];
    stage.apply(Command::Claim { agent, max: 1, start: true, offered: None }).unwrap();
    drown(&stage);
    settle().await;
    assert_eq!(stage.puppet.seen(|seen| seen.begun[0].task), task);
}

#[tokio::test(start_paused = true)]
async fn agent_that_starts_again_takes_up_no_lease_of_its_earlier_life() {
    let (stage, drown) = stage_with_noise(until_stopped).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.faults(|faults| faults.delay = 10 * SECOND);
    // Its agents start again; what they had in hand is theirs until their registration is written.
    let changed = PoolSpec { capabilities: capabilities("rust"), ..pool("coders", 1) };
    stage.apply(Command::PutPool { spec: changed.into() }).unwrap();
    settle().await;
    assert_eq!(stage.phase(task), Phase::Running);
    drown(&stage);
    pass(60 * SECOND).await;
    let begun: Vec<u32> = stage.puppet.seen(|seen| seen.begun.iter().map(|begun| begun.attempt).collect());
    assert_eq!(begun, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn failed_agent_that_was_missed_is_revived_and_a_pool_that_was_missed_is_started() {
    let (stage, drown) = stage_with_noise(|work| complete_after(work, SECOND)).await;
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Fail("no".to_owned()); 6].into());
    let spec = PoolSpec { recovery: Recovery::Restart, ..pool("coders", 1) };
    stage.apply(Command::PutPool { spec: spec.into() }).unwrap();
    drown(&stage);
    pass(20 * SECOND).await;
    let agent = stage.only_agent("coders");
    assert_eq!(agent.status(), AgentStatus::Failed);
    stage.until_status(agent.spec.id, AgentStatus::Ready).await;
    // A standing that is changed by hand and missed: the steward looks at everybody.
    let reason = "by hand".into();
    stage.apply(Command::SetStanding { agent: agent.spec.id, standing: Standing::Failed, reason }).unwrap();
    drown(&stage);
    settle().await;
    assert_eq!(stage.only_agent("coders").status(), AgentStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn timer_that_was_missed_fires() {
    let (stage, drown) = stage_with_noise(until_stopped).await;
    let mut task = stage.task("noise");
    task.demand = capabilities("nobody");
    task.timeouts.waiting = Some(10 * SECOND);
    let id = task.id;
    stage.apply(Command::Submit { spec: task.into() }).unwrap();
    drown(&stage);
    assert_eq!(stage.until_ended(id).await.phase(), Phase::TimedOut);
    assert!(stage.read(|state| state.pool(&name("noise")).is_some()));
}
