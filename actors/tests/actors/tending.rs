//! Pools that are looked after: scaled by their rule, with agents that begin anew, and with rollouts.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod_domain::agent::{AgentStatus, PoolSpec};
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::AgentId;
use synod_domain::renewal::RestartAfter;
use synod_domain::rollout::{Blueprint, Canary, RolloutPolicy, Stage as RolloutStage};
use synod_domain::state::State;
use synod_domain::task::{Lane, Phase};
use synod_domain::tending::PoolCommand;

use crate::puppet::{Prepare, complete_after, fail, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, serving, settle};

async fn tend(stage: &Stage, command: PoolCommand) {
    stage.propose(Command::Pool(command)).await.unwrap();
}

async fn scaled(stage: &Stage, spec: AutoscaleSpec) {
    tend(stage, PoolCommand::SetAutoscale { pool: name("coders"), spec: Some(spec) }).await;
}

fn rule() -> AutoscaleSpec {
    AutoscaleSpec {
        waiting_per_agent: 2,
        age: None,
        step_up: 3,
        step_down: 2,
        cooldown: 10 * SECOND,
        zero_after: Some(60 * SECOND),
    }
}

fn target(stage: &Stage) -> u32 {
    stage.read(|state| state.pool(&name("coders")).unwrap().target)
}

#[tokio::test(start_paused = true)]
async fn pool_comes_from_zero_follows_its_work_and_goes_back_to_zero() {
    let stage = Stage::start(|work| complete_after(work, 30 * SECOND)).await;
    stage.pool(PoolSpec { max: 8, ..pool("coders", 0) }).await;
    scaled(&stage, rule()).await;
    stage.submit_burst("coders", 13);
    pass(SECOND).await;
    // The first step at once, the next after the cooldown: seven agents for what still waits and no eighth.
    assert_eq!(target(&stage), 3);
    pass(11 * SECOND).await;
    assert_eq!(target(&stage), 5);
    let last = stage.read(|state| state.autoscaling(&name("coders")).unwrap().last.clone()).unwrap();
    assert_eq!((last.from, last.to), (3, 5));
    assert_eq!(&*last.reason, "10 tasks wait for 3 agents; 2 for each are meant");
    stage.until_all_ended().await;
    stage.until("its agents have gone", |state| state.agents_of(&name("coders")).count() == 0).await;
    assert_eq!(target(&stage), 0);
    let last = stage.read(|state| state.autoscaling(&name("coders")).unwrap().last.clone()).unwrap();
    assert!(last.reason.starts_with("it has had no work for"), "{}", last.reason);
    // And comes again.
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn pool_grows_for_a_task_that_has_waited_too_long() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { max: 4, ..pool("coders", 1) }).await;
    let spec = AutoscaleSpec { age: Some(20 * SECOND), step_up: 1, zero_after: None, ..rule() };
    scaled(&stage, spec).await;
    stage.submit_burst("coders", 2);
    pass(19 * SECOND).await;
    assert_eq!(target(&stage), 1);
    pass(2 * SECOND).await;
    assert_eq!(target(&stage), 2);
}

#[tokio::test(start_paused = true)]
async fn looking_after_a_pool_costs_nothing_while_nothing_is_due() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { max: 8, ..pool("coders", 2) }).await;
    scaled(&stage, AutoscaleSpec { zero_after: None, ..rule() }).await;
    stage.submit_burst("coders", 30);
    stage.until_all_ended().await;
    pass(600 * SECOND).await;
    assert_eq!((target(&stage), stage.agents("coders").len()), (2, 2));
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0);
}

#[tokio::test(start_paused = true)]
async fn consolidated_work_leaves_agents_without_any() {
    let stage = Stage::start(|work| complete_after(work, 5 * SECOND)).await;
    stage.pool(PoolSpec { concurrency: 3, ..pool("coders", 3) }).await;
    let assignment = Assignment::Consolidated;
    tend(&stage, PoolCommand::SetAssignment { pool: name("coders"), assignment }).await;
    for _ in 0..5 {
        stage.submit(stage.task("coders")).await;
        settle().await;
    }
    let mut held: Vec<usize> = stage.agents("coders").iter().map(|agent| agent.held.len()).collect();
    held.sort_unstable();
    assert_eq!(held, [0, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn immediate_pool_refuses_what_nobody_is_free_for_and_takes_it_when_somebody_is() {
    let stage = Stage::start(|work| complete_after(work, 5 * SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let assignment = Assignment::Immediate;
    tend(&stage, PoolCommand::SetAssignment { pool: name("coders"), assignment }).await;
    let first = stage.submit(stage.task("coders")).await;
    let refused = stage.propose(Command::Submit { spec: Arc::new(stage.task("coders")) }).await.unwrap_err();
    assert_eq!(refused.code(), "nobody_free");
    stage.until_ended(first).await;
    settle().await;
    let second = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(second).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn agents_that_served_long_enough_begin_anew_one_at_a_time_and_finish_what_they_have_first() {
    let stage = Stage::start(|work| complete_after(work, 90 * SECOND)).await;
    stage.pool(pool("coders", 3)).await;
    let before: BTreeSet<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    let spec = RestartAfter { age: Some(600 * SECOND), tasks: None };
    tend(&stage, PoolCommand::SetRestartAfter { pool: name("coders"), spec: Some(spec) }).await;
    pass(550 * SECOND).await;
    let tasks = stage.submit_burst("coders", 3);
    let mut events = stage.world.hub.subscribe();
    pass(60 * SECOND).await;
    let away = |state: &State| {
        let on_its_way = |id: &AgentId| state.life(*id).is_some_and(|life| life.renewal.is_some());
        state.agents_of(&name("coders")).filter(|agent| on_its_way(&agent.spec.id)).count()
    };
    assert_eq!((stage.read(away), stage.read(|state| serving(state, &name("coders")))), (1, 2));
    stage
        .until("all began anew", |state| state.agents_of(&name("coders")).all(|agent| agent.restarts == 1))
        .await;
    let mut most = 0;
    let mut on_its_way: BTreeSet<AgentId> = BTreeSet::new();
    while let Some(synod_actors::events::Heard::Happening(happening)) =
        futures::FutureExt::now_or_never(events.next())
    {
        for event in &happening.events {
            match event {
                Event::Governed { what: Governing::AgentRenewed, agent: Some(agent), .. } => {
                    on_its_way.insert(*agent);
                }
                Event::AgentChanged { agent, status: AgentStatus::Ready, .. } => {
                    on_its_way.remove(agent);
                }
                _ => {}
            }
            most = most.max(on_its_way.len());
        }
    }
    assert_eq!(most, 1);
    let after: BTreeSet<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    assert_eq!(after, before);
    for task in tasks {
        assert_eq!(stage.until_ended(task).await.attempt, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn agent_begins_anew_after_so_many_tasks() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let spec = RestartAfter { age: None, tasks: Some(4) };
    tend(&stage, PoolCommand::SetRestartAfter { pool: name("coders"), spec: Some(spec) }).await;
    let tasks = stage.submit_burst("coders", 10);
    stage.until_all_ended().await;
    pass(SECOND).await;
    assert_eq!(stage.only_agent("coders").restarts, 2);
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
}

fn blueprint(concurrency: u32) -> Arc<Blueprint> {
    Arc::new(Blueprint::of(&PoolSpec { concurrency, ..pool("coders", 1) }))
}

async fn roll(stage: &Stage, concurrency: u32, policy: RolloutPolicy) {
    let blueprint = blueprint(concurrency);
    tend(stage, PoolCommand::BeginRollout { pool: name("coders"), blueprint, policy }).await;
}

fn is_in(state: &State, stage: RolloutStage) -> bool {
    state.rollout(&name("coders")).is_some_and(|rollout| rollout.stage == stage)
}

fn versions(stage: &Stage) -> Vec<(u64, u32)> {
    stage.read(|state| {
        let version = |agent: AgentId| state.life(agent).unwrap().version;
        state
            .agents_of(&name("coders"))
            .map(|agent| (version(agent.spec.id), agent.spec.concurrency))
            .collect()
    })
}

#[tokio::test(start_paused = true)]
async fn rollout_replaces_all_agents_a_few_at_a_time_and_no_attempt_is_lost() {
    let stage = Stage::start(|work| complete_after(work, 7 * SECOND)).await;
    stage.pool(pool("coders", 5)).await;
    let tasks = stage.submit_burst("coders", 60);
    settle().await;
    roll(&stage, 2, RolloutPolicy { batch: 2, canary: None }).await;
    let mut least = 5;
    while !stage.read(|state| is_in(state, RolloutStage::Done)) {
        pass(SECOND).await;
        least = least.min(stage.read(|state| serving(state, &name("coders"))));
    }
    assert_eq!(least, 3);
    assert_eq!(versions(&stage), vec![(1, 2); 5]);
    stage.until_all_ended().await;
    for task in tasks {
        let task = stage.until_ended(task).await;
        assert_eq!((task.phase(), task.attempt), (Phase::Completed, 1));
    }
    // Agents that are started later are of the new version too.
    stage.propose(Command::RemoveAgent { agent: stage.agents("coders")[0].spec.id }).await.unwrap();
    stage.until("it is replaced", |state| serving(state, &name("coders")) == 5).await;
    assert_eq!(versions(&stage), vec![(1, 2); 5]);
}

fn watched() -> RolloutPolicy {
    RolloutPolicy { batch: 2, canary: Some(Canary { agents: 1, tasks_min: 4, excess_percent: 20 }) }
}

#[tokio::test(start_paused = true)]
async fn canary_that_does_well_is_followed_by_the_others() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 3)).await;
    roll(&stage, 2, watched()).await;
    stage.until("there is a canary", |_| true).await;
    pass(60 * SECOND).await;
    // Without work there is no verdict.
    assert_eq!(versions(&stage).iter().filter(|(version, _)| *version == 1).count(), 1);
    assert!(stage.read(|state| is_in(state, RolloutStage::Canary)));
    stage.submit_burst("coders", 40);
    stage.until("it is done", |state| is_in(state, RolloutStage::Done)).await;
    assert_eq!(versions(&stage), vec![(1, 2); 3]);
    stage.until_all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn canary_whose_work_fails_is_taken_back_by_itself() {
    let stage = Stage::start(|work| async move {
        match work.spec.lane {
            Lane::Low => fail(false),
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(pool("coders", 3)).await;
    roll(&stage, 2, watched()).await;
    let is_new = |state: &State, id| state.life(id).is_some_and(|life| life.version == 1);
    let serves = move |state: &State| {
        state
            .agents_of(&name("coders"))
            .any(|agent| agent.status() == AgentStatus::Ready && is_new(state, agent.spec.id))
    };
    stage.until("there is a canary", serves).await;
    let canary = stage
        .agents("coders")
        .iter()
        .find(|agent| stage.read(|state| is_new(state, agent.spec.id)))
        .unwrap()
        .spec
        .id;
    for _ in 0..3 {
        let mut task = stage.task("coders");
        task.mailbox = synod_domain::task::MailboxId::Agent(canary);
        task.lane = Lane::Low;
        stage.submit(task).await;
    }
    stage.until("it is taken back", |state| is_in(state, RolloutStage::RolledBack)).await;
    assert_eq!(versions(&stage), vec![(0, 1); 3]);
    let reason = stage.read(|state| state.rollout(&name("coders")).unwrap().reason.clone());
    assert_eq!(&*reason, "all agents are of version 0");
    let turned = stage.asked_for(|command| {
        matches!(command, Command::Pool(PoolCommand::MoveRollout { to: RolloutStage::RollingBack, .. }))
    });
    assert_eq!(turned, 1);
}

#[tokio::test(start_paused = true)]
async fn version_that_does_not_start_takes_one_batch_down_and_is_taken_back() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 4)).await;
    let broken = || Prepare::Fail("there is no such program".to_owned());
    stage.puppet.seen(|seen| seen.preparing.extend((0..9).map(|_| broken())));
    roll(&stage, 2, RolloutPolicy { batch: 1, canary: None }).await;
    stage.until("it is on its way back", |state| is_in(state, RolloutStage::RollingBack)).await;
    assert_eq!(stage.read(|state| serving(state, &name("coders"))), 3);
    stage.puppet.seen(|seen| seen.preparing.clear());
    stage.until("it is taken back", |state| is_in(state, RolloutStage::RolledBack)).await;
    assert_eq!(versions(&stage), vec![(0, 1); 4]);
    stage.until("all serve", |state| serving(state, &name("coders")) == 4).await;
}

#[tokio::test(start_paused = true)]
async fn rollout_goes_on_where_it_was_when_another_leads() {
    let mut stage = Stage::start(|work| complete_after(work, 20 * SECOND)).await;
    stage.pool(pool("coders", 4)).await;
    stage.submit_burst("coders", 8);
    settle().await;
    roll(&stage, 2, RolloutPolicy { batch: 1, canary: None }).await;
    settle().await;
    stage.system.step_down().await;
    pass(100 * SECOND).await;
    assert!(stage.read(|state| is_in(state, RolloutStage::Rolling)));
    stage.system.lead(stage.journal.clone(), 2).await.unwrap();
    stage.until("it is done", |state| is_in(state, RolloutStage::Done)).await;
    stage.until_all_ended().await;
    assert_eq!(versions(&stage), vec![(1, 2); 4]);
}

#[tokio::test(start_paused = true)]
async fn definition_that_is_put_is_rolled_when_the_pool_says_so() {
    let stage = Stage::start(|work| complete_after(work, 5 * SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let policy = Some(RolloutPolicy { batch: 1, canary: None });
    tend(&stage, PoolCommand::SetRolling { pool: name("coders"), policy }).await;
    let tasks = stage.submit_burst("coders", 6);
    settle().await;
    stage.pool(PoolSpec { concurrency: 3, ..pool("coders", 2) }).await;
    stage.until("it is done", |state| is_in(state, RolloutStage::Done)).await;
    assert_eq!(versions(&stage), vec![(1, 3); 2]);
    for task in tasks {
        assert_eq!(stage.until_ended(task).await.attempt, 1);
    }
}
