//! Pools: how many agents they have, from which definition, and under which names.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod_domain::agent::{AgentSpec, AgentStatus, Host, PoolSpec, RuntimeSpec};
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::name::NAME_BYTES_MAX;
use synod_domain::task::{MailboxId, Phase};

use crate::puppet::{complete_after, until_stopped};
use crate::stage::{SECOND, Stage, capabilities, name, pass, pool, serving, settle};

#[tokio::test(start_paused = true)]
async fn pool_grows_as_far_as_the_work_asks_for_and_no_further() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { max: 10, concurrency: 2, ..pool("coders", 1) }).await;
    stage.submit_burst("coders", 2);
    settle().await;
    assert_eq!(stage.agents("coders").len(), 1);
    stage.submit_burst("coders", 5);
    pass(SECOND).await;
    assert_eq!(stage.agents("coders").len(), 4);
    stage.submit_burst("coders", 100);
    pass(SECOND).await;
    assert_eq!(stage.read(|state| serving(state, &name("coders"))), 10);
    assert_eq!(stage.read(|state| state.tasks().filter(|task| task.lease().is_some()).count()), 20);
}

#[tokio::test(start_paused = true)]
async fn pool_does_not_grow_for_work_whose_claim_or_agent_is_on_its_way() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { max: 10, ..pool("coders", 2) }).await;
    stage.faults(|faults| faults.delay = SECOND);
    stage.submit_burst("coders", 1);
    settle().await;
    // Looked at again and again while the claim is on its way.
    for _ in 0..5 {
        stage.submit_burst("coders", 0);
        let mut other = stage.task("coders");
        other.demand = capabilities("gpu");
        stage.apply(Command::Submit { spec: Arc::new(other) }).unwrap();
        settle().await;
    }
    pass(10 * SECOND).await;
    assert_eq!(stage.agents("coders").len(), 2);
    stage.submit_burst("coders", 3);
    for _ in 0..50 {
        pass(SECOND / 10).await;
        let mut other = stage.task("coders");
        other.demand = capabilities("gpu");
        stage.apply(Command::Submit { spec: Arc::new(other) }).unwrap();
    }
    assert_eq!(stage.agents("coders").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn empty_pool_grows_for_its_first_work() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { max: 3, ..pool("coders", 0) }).await;
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
    assert_eq!(stage.agents("coders").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_start_in_the_time_of_a_few_syncs() {
    let stage = Stage::start(until_stopped).await;
    stage.faults(|faults| faults.delay = SECOND);
    let began = tokio::time::Instant::now();
    stage.pool(pool("coders", 1000)).await;
    assert!(began.elapsed() < 8 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn agents_have_names_that_nobody_else_has() {
    let stage = Stage::start(until_stopped).await;
    let external = AgentSpec {
        id: stage.world.ids.agent(),
        name: name("coders-2"),
        pool: None,
        capabilities: Capabilities::default(),
        labels: std::collections::BTreeMap::new(),
        region: None,
        concurrency: 1,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    };
    stage.propose(Command::RegisterAgent { spec: Arc::new(external) }).await.unwrap();
    stage.pool(pool("coders", 3)).await;
    let names: BTreeSet<String> =
        stage.agents("coders").iter().map(|agent| agent.spec.name.to_string()).collect();
    let wanted = ["coders-1", "coders-3", "coders-4"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(wanted));
}

#[tokio::test(start_paused = true)]
async fn longest_name_of_a_pool_leaves_room_for_its_agents() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    let longest = "p".repeat(NAME_BYTES_MAX);
    stage.pool(pool(&longest, 2)).await;
    let task = stage.submit(stage.task(&longest)).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn changed_definition_restarts_the_agents_and_redelivers_what_they_had() {
    let stage = Stage::start(|work| async move {
        match work.attempt {
            1 => until_stopped(work).await,
            _ => complete_after(work, SECOND).await,
        }
    })
    .await;
    stage.pool(pool("coders", 2)).await;
    let before: BTreeSet<_> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    let tasks = stage.submit_burst("coders", 2);
    settle().await;
    let changed = PoolSpec { capabilities: capabilities("rust"), ..pool("coders", 2) };
    stage.propose(Command::PutPool { spec: Arc::new(changed) }).await.unwrap();
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    let after = stage.agents("coders");
    assert_eq!(after.iter().map(|agent| agent.spec.id).collect::<BTreeSet<_>>(), before);
    assert!(after.iter().all(|agent| agent.spec.capabilities == capabilities("rust")));
    assert_eq!(stage.puppet.seen(|seen| seen.made_for.len()), 2);
    // And they are heard of after that as well.
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.apply(Command::Cancel { task, reason: "enough".into() }).unwrap();
    settle().await;
    assert!(stage.puppet.seen(|seen| seen.stopped.contains(&(task, 1))));
}

#[tokio::test(start_paused = true)]
async fn changed_bounds_do_not_disturb_what_runs() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    stage.pool(pool("coders", 3)).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 1));
    assert_eq!(stage.agents("coders").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn surplus_agents_finish_what_they_have_and_are_forgotten() {
    let stage = Stage::start(|work| complete_after(work, 10 * SECOND)).await;
    stage.pool(pool("coders", 4)).await;
    let tasks = stage.submit_burst("coders", 4);
    settle().await;
    stage.propose(Command::PutPool { spec: Arc::new(pool("coders", 1)) }).await.unwrap();
    stage.until("the surplus leaves", |state| state.agents_of(&name("coders")).count() == 1).await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.puppet.seen(|seen| seen.begun.len()), 4);
    // Growing again takes new ones.
    stage.pool(pool("coders", 2)).await;
    assert_eq!(stage.agents("coders").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pool_that_is_removed_leaves_nothing_behind() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let none = PoolSpec { max: 1, ..pool("coders", 0) };
    stage.propose(Command::PutPool { spec: Arc::new(none) }).await.unwrap();
    stage.propose(Command::ScalePool { pool: name("coders"), target: 0 }).await.unwrap();
    stage.until("the agents leave", |state| state.agents().count() == 0).await;
    stage.propose(Command::RemovePool { pool: name("coders") }).await.unwrap();
    settle().await;
    stage.pool(pool("coders", 1)).await;
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn pool_whose_agents_run_elsewhere_from_now_on_keeps_none_here() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(pool("coders", 2)).await;
    let task = stage.submit(stage.task("coders")).await;
    settle().await;
    let external = PoolSpec { runtime: RuntimeSpec::External, ..pool("coders", 2) };
    stage.propose(Command::PutPool { spec: Arc::new(external) }).await.unwrap();
    stage.until("the agents are forgotten", |state| state.agents().count() == 0).await;
    settle().await;
    assert_eq!(stage.puppet.seen(|seen| seen.stopped.clone()), [(task, 1)]);
    assert_eq!(stage.phase(task), Phase::Pending);
}

#[tokio::test(start_paused = true)]
async fn external_agents_are_left_to_claim_for_themselves() {
    let stage = Stage::start(until_stopped).await;
    let external = PoolSpec { runtime: RuntimeSpec::External, max: 9, ..pool("far", 0) };
    stage.pool(external).await;
    let agent = stage.world.ids.agent();
    let spec = AgentSpec {
        id: agent,
        name: name("far-1"),
        pool: Some(name("far")),
        capabilities: Capabilities::default(),
        labels: std::collections::BTreeMap::new(),
        region: None,
        concurrency: 1,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    };
    stage.propose(Command::RegisterAgent { spec: Arc::new(spec) }).await.unwrap();
    let standing = synod_domain::agent::Standing::Ready;
    stage.propose(Command::SetStanding { agent, standing, reason: "here".into() }).await.unwrap();
    settle().await;
    let before = stage.asked();
    stage.submit_burst("far", 10);
    let mut open = stage.task("far");
    open.mailbox = MailboxId::Open;
    stage.apply(Command::Submit { spec: Arc::new(open) }).unwrap();
    pass(60 * SECOND).await;
    assert_eq!(stage.asked() - before, 0);
    assert_eq!(stage.only_agent("far").status(), AgentStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn pool_that_retires_finishes_its_work_drains_its_agents_and_is_gone() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    // Of no agents at first, so that it must grow for its last work although it retires.
    stage.pool(PoolSpec { min: 0, max: 2, ..pool("growing", 0) }).await;
    stage.pool(pool("coders", 2)).await;
    let tasks = [stage.submit_burst("coders", 5), stage.submit_burst("growing", 5)].concat();
    for retiring in ["coders", "growing"] {
        stage.propose(Command::RetirePool { pool: name(retiring) }).await.unwrap();
    }
    stage.until("the pools are gone", |state| state.pools().count() == 0).await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.read(|state| state.agents().count()), 0);
    let scaled = stage.asked_for(|command| matches!(command, Command::ScalePool { .. }));
    assert!(scaled <= 5, "{scaled} times it was asked to grow");
}
