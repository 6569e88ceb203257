//! Work that policies keep from one agent and not from another: whoever may have it is asked, by an event and once.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod_actors::desk::Ask;
use synod_domain::agent::PoolSpec;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::policy::{AgentLists, Enforcement, PolicyCommand, PolicySpec, Scope};
use synod_domain::task::{MailboxId, Phase};
use synod_domain::tending::PoolCommand;
use tokio::time::Instant;

use crate::desk::tasks;
use crate::puppet::{complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, settle};

/// A policy that lets no agents but these do any work, or all but these.
fn lists(allowed: &[AgentId], blocked: &[AgentId]) -> Command {
    let names =
        |agents: &[AgentId]| -> BTreeSet<_> { agents.iter().map(|agent| name(&agent.to_string())).collect() };
    let spec = PolicySpec {
        name: name("trusted-only"),
        description: None,
        priority: 0,
        enabled: true,
        enforcement: Enforcement::Hard,
        scope: Scope::default(),
        agents: AgentLists { allowed: names(allowed), blocked: names(blocked) },
        rules: Vec::new(),
    };
    Command::Policy(PolicyCommand::Put { spec: Arc::new(spec) })
}

fn claims(stage: &Stage) -> usize {
    stage.asked_for(|command| matches!(command, Command::Claim { .. } | Command::ClaimOnce { .. }))
}

#[tokio::test(start_paused = true)]
async fn work_that_most_may_not_have_is_done_by_the_one_who_may_without_waiting() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 20)).await;
    let agents: Vec<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    stage.apply(lists(&agents[13..14], &[])).unwrap();
    let began = Instant::now();
    let tasks = stage.submit_burst("coders", 5);
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert!(stage.puppet.seen(|seen| seen.begun.iter().all(|begun| begun.agent == agents[13])));
    assert!(began.elapsed() < 5 * SECOND + SECOND / 2, "one after the other: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_that_nobody_may_have_costs_nothing_until_somebody_may() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 3)).await;
    let agents: Vec<AgentId> = stage.agents("coders").iter().map(|agent| agent.spec.id).collect();
    stage.apply(lists(&[], &agents)).unwrap();
    stage.submit_burst("coders", 50);
    settle().await;
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0, "nobody looks by the clock");
    // Each new one is asked for once at most, and those that wait are not looked at again.
    stage.submit_burst("coders", 1);
    settle().await;
    let before = claims(&stage);
    pass(3600 * SECOND).await;
    assert_eq!(claims(&stage) - before, 0);
    stage.apply(lists(&[], &agents[1..])).unwrap();
    stage.until_all_ended().await;
    assert!(stage.puppet.seen(|seen| seen.begun.iter().all(|begun| begun.agent == agents[0])));
    assert_eq!(stage.puppet.seen(|seen| seen.begun.len()), 51);
}

#[tokio::test(start_paused = true)]
async fn agents_outside_that_wait_are_called_for_what_others_may_not_have() {
    let stage = Stage::start(until_stopped).await;
    let (one, two) = (stage.far("").await, stage.far("").await);
    stage.apply(lists(&[two], &[])).unwrap();
    let first = stage.claiming(stage.ask(one)).await;
    let second = stage.claiming(stage.ask(two)).await;
    let began = Instant::now();
    let task = stage.submit(stage.open_task("")).await;
    assert_eq!((tasks(second).await, began.elapsed().as_millis()), (vec![task], 0));
    assert!(!first.is_finished());
    let before = claims(&stage);
    stage.submit(stage.open_task("")).await;
    pass(60 * SECOND).await;
    assert!(claims(&stage) - before <= 1, "it is asked for once and not again");
    assert!(!first.is_finished());
    // One that comes is asked when it comes.
    stage.complete(task, 1);
    let leases = stage.system.desk().claim(Ask { max: 9, ..stage.ask(two) }).await.unwrap();
    assert_eq!(leases.len(), 1);
    stage.apply(lists(&[one], &[])).unwrap();
    let third = stage.submit(stage.open_task("")).await;
    assert_eq!(tasks(first).await, [third]);
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_node_and_outside_of_it_are_asked_alike() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    let far = stage.far("").await;
    stage.apply(lists(&[far], &[])).unwrap();
    let claiming = stage.claiming(stage.ask(far)).await;
    let mut spec = stage.task("coders");
    spec.mailbox = MailboxId::Open;
    let task = stage.submit(spec).await;
    assert_eq!(tasks(claiming).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_grows_for_work_that_none_of_its_agents_may_have_and_not_for_what_the_next_could_not_have() {
    for spec in [None, Some(AutoscaleSpec { zero_after: None, ..AutoscaleSpec::default() })] {
        let stage = Stage::start(|work| complete_after(work, SECOND)).await;
        stage.pool(PoolSpec { max: 5, ..pool("coders", 1) }).await;
        let ruled = PoolCommand::SetAutoscale { pool: name("coders"), spec };
        stage.propose(Command::Pool(ruled)).await.unwrap();
        let first = stage.only_agent("coders").spec.id;
        stage.apply(lists(&[AgentId::from_raw(77)], &[])).unwrap();
        let task = stage.submit(stage.task("coders")).await;
        pass(120 * SECOND).await;
        let target = |stage: &Stage| stage.read(|state| state.pool(&name("coders")).unwrap().target);
        assert_eq!((target(&stage), stage.phase(task)), (1, Phase::Pending));
        let why = stage.read(|state| state.why(task).unwrap().to_string());
        assert!(why.contains("does not grow for it"), "{why}");
        let before = stage.asked();
        pass(3600 * SECOND).await;
        assert_eq!(stage.asked() - before, 0, "nobody looks by the clock");
        stage.apply(lists(&[], &[first])).unwrap();
        assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
        assert!(stage.puppet.seen(|seen| seen.begun.iter().all(|begun| begun.agent != first)));
        assert!(target(&stage) <= 2, "one more was enough");
    }
}
