//! What is done with one agent: restarted, drained, retired; and who leaves a pool that becomes smaller.

use std::sync::Arc;

use synod_actors::system::RestartError;
use synod_domain::agent::{AgentStatus, PoolSpec, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::refusal::Refusal;
use synod_domain::spread::Recovery;
use synod_domain::task::{AttemptEnd, MailboxId, Phase};

use crate::puppet::{Prepare, complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, settle};

fn scale(pool: &str, target: u32) -> Command {
    Command::ScalePool { pool: name(pool), target }
}

/// The agents of a pool that hold nothing.
fn idle(stage: &Stage, pool: &str) -> Vec<AgentId> {
    let agents = stage.agents(pool);
    agents.iter().filter(|agent| agent.held.is_empty()).map(|agent| agent.spec.id).collect()
}

#[tokio::test(start_paused = true)]
async fn restarted_agent_gives_its_work_back_unharmed_and_takes_it_up_afresh() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let before = stage.only_agent("coders");
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.system.hosted().restart(before.spec.id).await.unwrap();
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt, ended.losses, ended.failures), (Phase::Completed, 2, 0, 0));
    assert_eq!(ended.attempts[0].end, AttemptEnd::Lost("its agent was restarted before it was done".into()));
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(task, 1)]);
    let after = stage.only_agent("coders");
    assert_eq!((after.spec.id, after.restarts), (before.spec.id, before.restarts + 1));
    assert_eq!(after.status(), AgentStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn agent_that_failed_for_good_is_started_by_a_restart_and_its_failures_are_forgotten() {
    let stage = Stage::start(until_stopped).await;
    stage.puppet.seen(|seen| seen.preparing = vec![Prepare::Fail("no".to_owned()); 6].into());
    let spec = PoolSpec { recovery: Recovery::Restart, ..pool("coders", 1) };
    stage.apply(Command::PutPool { spec: spec.into() }).unwrap();
    stage
        .until("it is left failed", |state| {
            state.agents().any(|agent| agent.status() == AgentStatus::Failed && agent.restarts >= 5)
        })
        .await;
    pass(SECOND).await;
    let agent = stage.only_agent("coders").spec.id;
    stage.system.hosted().restart(agent).await.unwrap();
    settle().await;
    assert_eq!(stage.only_agent("coders").status(), AgentStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn attempt_that_never_stops_does_not_keep_its_agent_from_being_restarted() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => std::future::pending().await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.system.hosted().restart(stage.only_agent("coders").spec.id).await.unwrap();
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn restart_is_refused_for_who_runs_elsewhere_or_is_unknown() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    let refused = stage.system.hosted().restart(agent).await.unwrap_err();
    assert_eq!(refused.to_string(), "agent is not valid: it runs elsewhere; restart it there");
    let nobody = stage.world.ids.agent();
    let refused = stage.system.hosted().restart(nobody).await.unwrap_err();
    assert_eq!(refused, RestartError::Refused(Refusal::AgentUnknown(nobody)));
}

#[tokio::test(start_paused = true)]
async fn drained_agent_finishes_what_it_has_and_takes_nothing_until_it_is_restarted() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let agent = stage.only_agent("coders").spec.id;
    let tasks = stage.submit_burst("coders", 2);
    settle().await;
    let standing = Standing::Draining;
    stage.propose(Command::SetStanding { agent, standing, reason: "by hand".into() }).await.unwrap();
    pass(60 * SECOND).await;
    assert_eq!([stage.phase(tasks[0]), stage.phase(tasks[1])], [Phase::Completed, Phase::Pending]);
    stage.system.hosted().restart(agent).await.unwrap();
    assert_eq!(stage.until_ended(tasks[1]).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn pool_that_becomes_smaller_lets_the_idle_go_first_and_the_newest_of_them() {
    let stage = Stage::start(|work| complete_after(work, 100 * SECOND)).await;
    stage.pool(PoolSpec { max: 6, ..pool("coders", 1) }).await;
    stage.propose(scale("coders", 6)).await.unwrap();
    stage.until("all are there", |state| crate::stage::serving(state, &name("coders")) == 6).await;
    // The three newest but one have work.
    let agents: Vec<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    for agent in &agents[2..5] {
        let mut task = stage.task("coders");
        task.mailbox = MailboxId::Agent(*agent);
        stage.submit(task).await;
    }
    settle().await;
    let idle = idle(&stage, "coders");
    assert_eq!(idle, [agents[0], agents[1], agents[5]]);
    stage.propose(scale("coders", 4)).await.unwrap();
    stage.until("two leave", |state| state.agents().count() == 4).await;
    let left: Vec<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    assert!(left.contains(&idle[0]) && !left.contains(&idle[1]) && !left.contains(&idle[2]));
    // The next ones have work, and finish it.
    stage.propose(scale("coders", 1)).await.unwrap();
    stage.until("the rest leaves", |state| state.agents().count() == 1).await;
    assert_eq!(stage.puppet.seen(|seen| (seen.begun.len(), seen.stopped.len())), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn retired_agent_finishes_leaves_and_is_not_replaced() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(PoolSpec { max: 3, ..pool("coders", 1) }).await;
    stage.propose(scale("coders", 3)).await.unwrap();
    stage.until("all are there", |state| crate::stage::serving(state, &name("coders")) == 3).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    let holder = stage.read(|state| state.task(task).unwrap().lease().unwrap().agent);
    let other = idle(&stage, "coders")[0];
    stage.propose(Command::RetireAgent { agent: holder }).await.unwrap();
    stage.propose(Command::RetireAgent { agent: other }).await.unwrap();
    assert_eq!(stage.until_ended(task).await.attempt, 1);
    stage.until("both leave", |state| state.agents().count() == 1).await;
    pass(60 * SECOND).await;
    let left = stage.only_agent("coders");
    assert!(left.spec.id != holder && left.spec.id != other);
    assert_eq!(left.status(), AgentStatus::Ready);
    assert_eq!(stage.read(|state| state.pool(&name("coders")).unwrap().target), 1);
    // The last one may not leave, because its pool keeps at least one.
    let refused = stage.propose(Command::RetireAgent { agent: left.spec.id }).await.unwrap_err();
    assert!(refused.to_string().contains("pool coders keeps at least 1 agents"), "{refused}");
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn work_of_a_retired_agent_that_is_evicted_goes_to_others_at_once() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(PoolSpec { max: 2, ..pool("coders", 1) }).await;
    stage.propose(scale("coders", 2)).await.unwrap();
    stage.until("both are there", |state| crate::stage::serving(state, &name("coders")) == 2).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    let agent = stage.read(|state| state.task(task).unwrap().lease().unwrap().agent);
    stage.propose(Command::RetireAgent { agent }).await.unwrap();
    stage.system.hosted().evict(agent);
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt, ended.losses), (Phase::Completed, 2, 0));
    assert_ne!(stage.only_agent("coders").spec.id, agent);
}

#[tokio::test(start_paused = true)]
async fn retired_pool_finishes_its_work_and_leaves_nothing_behind() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let tasks = stage.submit_burst("coders", 5);
    settle().await;
    stage.propose(Command::RetirePool { pool: name("coders") }).await.unwrap();
    stage.until("the pool is gone", |state| state.pool(&name("coders")).is_none()).await;
    settle().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.read(|state| state.agents().count()), 0);
    assert!(stage.puppet.seen(|seen| seen.running.values().all(|tasks| tasks.is_empty())));
    // The name is free again.
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn hosted_agent_whose_record_is_removed_is_stopped_and_replaced() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(pool("coders", 1)).await;
    let agent = stage.only_agent("coders").spec.id;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.propose(Command::RemoveAgent { agent }).await.unwrap();
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
    assert_ne!(stage.only_agent("coders").spec.id, agent);
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(task, 1)]);
}

#[tokio::test(start_paused = true)]
async fn hosted_agent_whose_record_is_removed_unheard_is_registered_again() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { max: 1, ..pool("noise", 0) }).await;
    stage.pool(pool("coders", 1)).await;
    let agent = stage.only_agent("coders").spec.id;
    stage.apply(Command::RemoveAgent { agent }).unwrap();
    for size in (0..2500).flat_map(|_| [1, 0]) {
        stage.apply(scale("noise", size)).unwrap();
    }
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
    let spec = Arc::clone(&stage.only_agent("coders").spec);
    assert_eq!(spec.id, agent);
}
