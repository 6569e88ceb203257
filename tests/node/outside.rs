//! Agents that run outside of a real node: heard, silent, waiting for work, and what becomes of their leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::agent::{AgentSpec, AgentStatus};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::task::{MailboxId, Phase, Usage};
use synod::node::{Ask, Error, NewTask, Node, Pool};

use crate::support::{
    PATIENCE, Script, agents, completed, eventually, external, folder, ready, running, scripted, task,
};

fn open_task(number: u32) -> NewTask {
    NewTask::to_any(Capabilities::default(), "work", &number).unwrap()
}

fn outside(number: u128) -> AgentSpec {
    let name = Name::new(&format!("outside-{number}")).unwrap();
    AgentSpec { id: AgentId::from_raw(number), name, pool: None, ..external("none", 1) }
}

fn ask(node: &Node, agent: AgentId) -> Ask {
    let request = node.new_request_id();
    Ask { agent, offered: None, max: 1, start: true, wait: PATIENCE, request }
}

async fn offline(node: &Node, agent: AgentId) {
    let status = || node.read(|state| state.agent(agent).unwrap().status());
    eventually("the agent is offline", || (status() == AgentStatus::Offline).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_goes_offline_and_its_work_is_done_by_another() {
    let folder = folder();
    let node = scripted(folder.path()).agent_timeout(Duration::from_millis(300)).start().await.unwrap();
    let (silent, other) = (outside(1), AgentSpec { heartbeat_timeout: Some(PATIENCE), ..outside(2) });
    node.register_agent(silent.clone()).await.unwrap();
    let task = node.submit(open_task(1)).await.unwrap();
    let lost = node.claim(silent.id, 1).await.unwrap().remove(0);
    assert_eq!(lost.spec.id, task);

    node.register_agent(other.clone()).await.unwrap();
    // Nobody submits anything: the end of the lost lease is what calls it.
    let lease = node.claim_when_ready(ask(&node, other.id)).await.unwrap().remove(0);
    assert_eq!((lease.spec.id, lease.attempt), (task, 2));
    offline(&node, silent.id).await;
    let stale = node.complete(task, lost.attempt, b"1", Usage::default()).await.unwrap_err();
    assert!(matches!(stale, Error::Refused(ref refusal) if refusal.code() == "lease_lost"), "{stale}");
    let used = Usage { tokens_in: 3, ..Usage::default() };
    assert_eq!(node.complete(task, 2, b"2", used.clone()).await.unwrap(), Phase::Completed);
    assert_eq!(node.task(task).unwrap().usage, used);

    node.heartbeat_agent(silent.id).await.unwrap();
    assert_eq!(node.read(|state| state.agent(silent.id).unwrap().status()), AgentStatus::Ready);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_agents_outside_survive_a_restart_and_their_silence_counts_from_it() {
    let folder = folder();
    let agent = AgentSpec { heartbeat_timeout: Some(Duration::from_millis(500)), ..outside(1) };
    let node = scripted(folder.path()).start().await.unwrap();
    node.register_agent(agent.clone()).await.unwrap();
    let task = node.submit(open_task(1)).await.unwrap();
    let lease = node.claim(agent.id, 1).await.unwrap().remove(0);
    node.stop().await;

    let node = scripted(folder.path()).start().await.unwrap();
    // However long it was away, the agent has its lease until a timeout of listening is over.
    let standing = node.read(|state| state.agent(agent.id).unwrap().status());
    assert_eq!((standing, node.task(task).unwrap().attempt), (AgentStatus::Busy, 1));
    assert_eq!(node.complete(task, lease.attempt, b"1", Usage::default()).await.unwrap(), Phase::Completed);
    offline(&node, agent.id).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_claimers_get_a_thousand_tasks_each_exactly_once() {
    let folder = folder();
    let node = Arc::new(scripted(folder.path()).start().await.unwrap());
    let mut claimers = Vec::new();
    for number in 1..=64 {
        let spec = outside(number);
        node.register_agent(spec.clone()).await.unwrap();
        let node = node.clone();
        claimers.push(tokio::spawn(async move {
            let mut done: Vec<TaskId> = Vec::new();
            // The stop of the node sends it away.
            while let Ok(leases) = node.claim_when_ready(ask(&node, spec.id)).await {
                for lease in leases {
                    assert_eq!(lease.attempt, 1);
                    let (task, attempt) = (lease.spec.id, lease.attempt);
                    node.complete(task, attempt, b"null", Usage::default()).await.unwrap();
                    done.push(task);
                }
            }
            done
        }));
    }
    let mut submitted = Vec::new();
    for batch in 0..10 {
        let tasks = (0..100).map(|number| open_task(batch * 100 + number)).collect();
        for task in node.submit_many(tasks).await {
            submitted.push(task.unwrap());
        }
    }
    eventually("all is done", || (node.read(|state| state.unfinished()) == 0).then_some(())).await;
    node.stop().await;
    // Once more is harmless.
    node.stop().await;
    let mut done = BTreeMap::new();
    for claimer in claimers {
        for task in claimer.await.unwrap() {
            *done.entry(task).or_insert(0) += 1;
        }
    }
    assert_eq!(done.len(), 1000);
    assert!(submitted.iter().all(|task| done.get(task) == Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_stopped_says_so_and_has_let_go_of_its_folder() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let agent = outside(1);
    node.register_agent(agent.clone()).await.unwrap();
    node.stop().await;
    let again = scripted(folder.path()).start().await.unwrap();
    again.stop().await;
    assert!(matches!(node.submit(open_task(1)).await, Err(Error::Journal(_))));
    assert!(matches!(node.claim(agent.id, 1).await, Err(Error::Journal(_))));
    assert!(matches!(node.ended(None, 10), Err(Error::Failed(_))));
    assert_eq!(node.failed().await, "the node has stopped");
    assert_eq!(node.read(|state| state.agents().count()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_task_ends_with_the_task_or_with_the_patience() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let agent = outside(1);
    node.register_agent(agent.clone()).await.unwrap();
    let task = node.submit(open_task(1)).await.unwrap();
    let unfinished = node.wait_at_most(task, Duration::from_millis(20)).await.unwrap();
    assert_eq!(unfinished.phase(), Phase::Pending);
    let lease = node.claim(agent.id, 1).await.unwrap().remove(0);
    let (waited, completed) = tokio::join!(
        node.wait_at_most(task, PATIENCE),
        node.complete(task, lease.attempt, b"1", Usage::default())
    );
    assert_eq!((waited.unwrap().phase(), completed.unwrap()), (Phase::Completed, Phase::Completed));
    assert!(matches!(node.wait_at_most(node.new_task_id(), PATIENCE).await, Err(Error::NoTask(_))));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_about_a_lease_may_be_said_twice_under_one_request() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let agent = outside(1);
    node.register_agent(agent.clone()).await.unwrap();
    let task = node.submit(open_task(1)).await.unwrap();
    let lease = node.claim_when_ready(Ask { start: false, ..ask(&node, agent.id) }).await.unwrap().remove(0);
    node.start_task(task, lease.attempt).await.unwrap();
    node.heartbeat_task(task, lease.attempt, None).await.unwrap();
    let request = node.new_request_id();
    let release = Command::Release { task, attempt: 1, reason: "not now".into() };
    node.propose_as(request, release.clone()).await.unwrap();
    node.propose_as(request, release).await.unwrap();
    let again = node.claim(agent.id, 1).await.unwrap().remove(0);
    assert_eq!(again.attempt, 2);
    node.release(task, 2, "not now either").await.unwrap();
    let third = node.claim(agent.id, 1).await.unwrap().remove(0);
    node.fail(task, third.attempt, "it cannot be done", false, Usage::default()).await.unwrap();
    assert_eq!(node.task(task).unwrap().phase(), Phase::Failed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_pools_are_restarted_drained_paused_and_retired() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap().between(1, 3)).await.unwrap();
    let pool = Name::new("natives").unwrap();
    node.scale_pool(&pool, 2).await.unwrap();
    ready(&node, "natives", 2).await;
    let first = node.submit(task("natives", &Script::HangFirst)).await.unwrap();
    running(&node, first).await;
    let holder = node.read(|state| state.task(first).unwrap().lease().unwrap().agent);
    node.restart_agent(holder).await.unwrap();
    assert_eq!(completed(&node, first).await["attempt"], 2);
    assert_eq!(node.task(first).unwrap().losses, 0);

    // Another agent may have had the second attempt; one that is still starting is put in service by its start.
    ready(&node, "natives", 2).await;
    node.drain_agent(holder, "by hand").await.unwrap();
    assert_eq!(agents(&node, "natives", AgentStatus::Draining), 1);
    node.retire_agent(holder, true).await.unwrap();
    let count = || node.read(|state| state.agents_of(&pool).count());
    eventually("it has left", || (count() == 1).then_some(())).await;
    let last = node.read(|state| state.agents_of(&pool).next().unwrap().spec.id);
    assert!(matches!(node.retire_agent(last, false).await, Err(Error::Refused(_))));

    let what = Pausable::Pool(pool.clone());
    node.pause(what.clone(), "by hand").await.unwrap();
    let mailbox = MailboxId::Pool(pool.clone());
    let held_back = NewTask::to_mailbox(mailbox, "work", &Script::Hang).unwrap();
    let held_back = node.submit(held_back.metadata("{\"of\":\"mine\"}")).await.unwrap();
    node.resume(what).await.unwrap();
    running(&node, held_back).await;
    assert_eq!(node.task(held_back).unwrap().spec.metadata.as_deref(), Some("{\"of\":\"mine\"}"));

    node.retire_pool(&pool, true).await.unwrap();
    eventually("the pool is gone", || node.read(|state| state.pool(&pool).is_none()).then_some(())).await;
    assert_eq!(node.task(held_back).unwrap().phase(), Phase::Cancelled);
    let outside = outside(1);
    node.register_agent(outside.clone()).await.unwrap();
    assert!(matches!(node.restart_agent(outside.id).await, Err(Error::Refused(_))));
    node.retire_agent(outside.id, false).await.unwrap();
    assert!(node.read(|state| state.agent(outside.id).is_none()));
    node.stop().await;
}
