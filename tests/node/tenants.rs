//! An embedder who serves tenants of its own: what it asks in the name of a workspace reaches that workspace alone, also
//! what is said under a lease.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod::node::domain::agent::AgentSpec;
use synod::node::domain::audit::{Actor, ActorKind};
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::payload::Payload;
use synod::node::domain::task::{Phase, TaskSpec, Usage};
use synod::node::{Error, NewTask, Node, asking};

use crate::support::{external, folder, scripted};

const RED: &str = "red";
const BLUE: &str = "blue";

/// Does something in the name of somebody of a workspace.
async fn of<T>(workspace: &str, work: impl Future<Output = T>) -> T {
    let workspace = Some(Name::new(workspace).unwrap());
    asking(Arc::new(Actor { workspace, ..Actor::of(ActorKind::Token, "tenant") }), work).await
}

fn worker(workspace: &str, number: u128) -> AgentSpec {
    let name = Name::new(&format!("{workspace}/worker")).unwrap();
    AgentSpec { id: AgentId::from_raw(number), name, pool: None, ..external("none", 4) }
}

fn work(workspace: &str, agent: AgentId) -> NewTask {
    let workspace = Name::new(workspace).unwrap();
    NewTask::to_agent(agent, "work", &1).unwrap().workspace(workspace)
}

fn code(error: &Error) -> &'static str {
    match error {
        Error::Refused(refusal) => refusal.code(),
        other => panic!("{other}"),
    }
}

/// A node with an agent of each, and a task that blue's agent has.
async fn two(node: &Node) -> (AgentSpec, AgentSpec, TaskId, u32) {
    let (red, blue) = (worker(RED, 1), worker(BLUE, 2));
    of(RED, node.register_agent(red.clone())).await.unwrap();
    of(BLUE, node.register_agent(blue.clone())).await.unwrap();
    let task = of(BLUE, node.submit(work(BLUE, blue.id))).await.unwrap();
    let lease = of(BLUE, node.claim(blue.id, 1)).await.unwrap().remove(0);
    assert_eq!(lease.spec.id, task);
    (red, blue, task, lease.attempt)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_under_a_lease_is_held_to_the_workspace_of_whoever_says_it() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let (red, blue, task, attempt) = two(&node).await;
    let nobody = TaskId::from_raw(77);
    for said in [task, nobody] {
        let refused = [
            of(RED, node.start_task(said, attempt)).await.unwrap_err(),
            of(RED, node.heartbeat_task(said, attempt, None)).await.unwrap_err(),
            of(RED, node.complete(said, attempt, b"1", Usage::default())).await.unwrap_err(),
            of(RED, node.fail(said, attempt, "so", false, Usage::default())).await.unwrap_err(),
            of(RED, node.release(said, attempt, "so")).await.unwrap_err(),
        ];
        let codes: BTreeSet<&str> = refused.iter().map(code).collect();
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["task_unknown"], "{said}");
    }
    assert_eq!(node.task(task).unwrap().phase(), Phase::Running);
    for agent in [blue.id, AgentId::from_raw(78)] {
        assert_eq!(code(&of(RED, node.claim(agent, 1)).await.unwrap_err()), "agent_unknown");
        assert_eq!(code(&of(RED, node.heartbeat_agent(agent)).await.unwrap_err()), "agent_unknown");
    }
    // Its own it may speak of, and again when it is over; of what has ended nothing is told to others.
    for _ in 0..2 {
        let done = of(BLUE, node.complete(task, attempt, b"1", Usage::default())).await;
        assert_eq!(done.unwrap(), Phase::Completed);
    }
    let late = of(RED, node.complete(task, attempt, b"1", Usage::default())).await.unwrap_err();
    assert_eq!(code(&late), "task_unknown");
    of(RED, node.heartbeat_agent(red.id)).await.unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_proposed_without_a_verb_does_not_follow_what_ended_elsewhere() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let (red, _, task, attempt) = two(&node).await;
    of(BLUE, node.complete(task, attempt, b"1", Usage::default())).await.unwrap();
    let own = of(RED, node.submit(work(RED, red.id))).await.unwrap();
    let lease = of(RED, node.claim(red.id, 1)).await.unwrap().remove(0);
    of(RED, node.complete(own, lease.attempt, b"1", Usage::default())).await.unwrap();
    let follow = |number: u128, after: TaskId| {
        let spec = TaskSpec {
            id: TaskId::from_raw(number),
            workspace: Name::new(RED).unwrap(),
            payload: Payload::inline(*b"1"),
            ..TaskSpec::clone(&node.task(own).unwrap().spec)
        };
        Command::SubmitAfter { spec: Arc::new(spec), after: [after].into_iter().collect(), terms: None }
    };
    // Whose it was the rules do not know any more, so they tell nothing of any.
    for after in [task, own, TaskId::from_raw(77)] {
        let refused = of(RED, node.propose(follow(1000, after))).await.unwrap_err();
        assert_eq!(code(&refused), "prerequisite_unknown");
    }
    // The verb looks it up: one's own is found, another's is not.
    let after_own = of(RED, node.submit(work(RED, red.id).after([own]))).await.unwrap();
    assert_eq!(node.task(after_own).unwrap().phase(), Phase::Pending);
    let refused = of(RED, node.submit(work(RED, red.id).after([task]))).await.unwrap_err();
    assert_eq!(code(&refused), "prerequisite_unknown");
    // The process itself is bound to nothing.
    node.propose(follow(1001, task)).await.unwrap();
    node.stop().await;
}
