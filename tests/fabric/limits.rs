//! The limits: each refused clearly, none passed however many ask at once.

use std::time::Duration;

use serde_json::json;
use synod::fabric::{AgentConfig, Config, Error, Fabric, PoolConfig, TaskStatus};

use crate::support::{Held, echo, eventually, fabric_in, folder, result, status};

fn small() -> Config {
    Config {
        max_concurrent_agents: 4,
        max_queue_depth: 3,
        max_concurrent_tasks_per_agent: 2,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_without_sense_is_refused_with_the_field() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), Config::default()).await;
    let wrong = [
        ("max_queue_depth", Config { max_queue_depth: 0, ..Config::default() }),
        ("max_concurrent_agents", Config { max_concurrent_agents: 0, ..Config::default() }),
        ("max_concurrent_tasks_per_agent", Config { max_concurrent_tasks_per_agent: 0, ..Config::default() }),
        ("default_timeout", Config { default_timeout: Duration::ZERO, ..Config::default() }),
        ("heartbeat_interval", Config { heartbeat_interval: Duration::ZERO, ..Config::default() }),
    ];
    for (field, config) in wrong {
        let error = Fabric::new(fabric.node().clone(), config).await.unwrap_err();
        assert!(matches!(error, Error::Config { field: named, .. } if named == field), "{error}");
    }
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_forty_spawns_at_once_as_many_succeed_as_there_may_be_agents() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), small()).await;
    let spawns = (0..40).map(|number| {
        let name = format!("agent-{number}");
        // Half of them run here and half elsewhere.
        let config = if number % 2 == 0 { echo(&name) } else { AgentConfig::new("claude-3-haiku", &name) };
        let fabric = fabric.clone();
        tokio::spawn(async move { fabric.spawn(config).await })
    });
    let (mut spawned, mut refused) = (Vec::new(), Vec::new());
    for spawn in futures::future::join_all(spawns).await {
        match spawn.unwrap() {
            Ok(agent) => spawned.push(agent),
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert_eq!((spawned.len(), fabric.list().len()), (4, 4), "{refused:?}");
    for error in refused {
        assert!(error.contains("the fabric is full: its limit is 4"), "{error}");
        assert!(error.contains("terminate agents that nobody needs"), "it says what to do: {error}");
    }
    // What was refused left nothing behind, and whoever leaves makes room.
    eventually("no empty pools", || {
        (fabric.node().read(|state| state.fabric_pools().count()) == 4).then_some(())
    })
    .await;
    fabric.terminate(spawned[0].id).await.unwrap();
    fabric.spawn(echo("late")).await.unwrap();
    assert!(fabric.spawn(echo("too-late")).await.is_err());
    assert_eq!(fabric.statistics().counted_agents, 4);
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_schedules_at_once_as_many_are_taken_as_may_wait() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), small()).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one").concurrency(1)).await.unwrap().id;
    let first = fabric.schedule(agent, "work", &"first").await.unwrap();
    held.begun(1).await;
    let schedules = (0..50).map(|number| {
        let fabric = fabric.clone();
        tokio::spawn(async move {
            let schedule = fabric.schedule(agent, "work", &number);
            // What waits for another task waits as well.
            if number % 2 == 0 { schedule.await } else { schedule.depends_on([first.id]).await }
        })
    });
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for schedule in futures::future::join_all(schedules).await {
        match schedule.unwrap() {
            Ok(task) => taken.push(task.id),
            Err(error) => refused.push(error),
        }
    }
    assert_eq!((taken.len(), fabric.agent_info(agent).unwrap().pending), (3, 3));
    for error in refused {
        assert_eq!(error.refusal().unwrap().code(), "full");
        assert!(error.to_string().contains("is full: its limit is 3; wait and submit again"), "{error}");
    }
    // Another agent has a queue of its own.
    let other = fabric.spawn(AgentConfig::new("claude-3-haiku", "other")).await.unwrap();
    fabric.schedule(other.id, "work", &1).await.unwrap();
    held.release(4);
    for task in taken {
        result(&fabric, task).await;
    }
    fabric.schedule(agent, "work", &"again").await.unwrap();
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_holds_no_more_tasks_than_it_may() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), small()).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("two-hands")).await.unwrap();
    assert_eq!(agent.max_tasks, 2);
    for number in 0..4 {
        fabric.schedule(agent.id, "work", &number).await.unwrap();
    }
    held.begun(2).await;
    let info = fabric.agent_info(agent.id).unwrap();
    assert_eq!((info.running, info.pending), (2, 2));
    assert_eq!(held.begun.lock().len(), 2);
    held.release(1);
    held.begun(3).await;
    assert_eq!(fabric.agent_info(agent.id).unwrap().pending, 1);

    let greedy = fabric.spawn(echo("greedy").concurrency(3)).await.unwrap_err().to_string();
    assert!(greedy.contains("an agent of the fabric holds at most 2 tasks at a time"), "{greedy}");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_grow_into_what_room_there_is_and_further_when_others_leave() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), small()).await;
    let held = Held::new();
    let one = fabric.spawn(echo("one")).await.unwrap();
    let agents = held.agent("elastic").concurrency(1);
    fabric.create_pool(PoolConfig::new("elastic", agents).min_agents(1).max_agents(9)).await.unwrap();
    let refused = fabric.scale_pool("elastic", 9).await.unwrap_err().to_string();
    assert!(refused.contains("the fabric is full: its limit is 4"), "{refused}");
    for number in 0..3 {
        fabric.schedule_to_pool("elastic", "work", &number).await.unwrap();
    }
    held.begun(3).await;
    let last = fabric.schedule_to_pool("elastic", "work", &3).await.unwrap();
    assert_eq!(fabric.pool("elastic").unwrap().target_size, 3, "three of four: the fourth is another one");
    let why = fabric.node().read(|state| state.why(last.id).unwrap());
    assert_eq!(why.code(), "fabric_full", "{why}");
    fabric.terminate(one.id).await.unwrap();
    held.begun(4).await;
    assert_eq!(fabric.statistics().counted_agents, 4);
    held.release(4);
    result(&fabric, last.id).await;
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_takes_nothing_away_and_lets_nothing_new_in() {
    let folder = folder();
    let fabric = fabric_in(folder.path(), small()).await;
    for number in 0..3 {
        fabric.spawn(echo(&format!("agent-{number}"))).await.unwrap();
    }
    let lower = Config { max_concurrent_agents: 1, ..small() };
    let lower = Fabric::new(fabric.node().clone(), lower).await.unwrap();
    assert_eq!(lower.list().len(), 3);
    assert!(fabric.spawn(echo("more")).await.is_err(), "it holds for every facade over the cluster");
    let known = lower.spawn(echo("agent-0")).await.unwrap();
    let task = lower.schedule(known.id, "work", &json!(1)).await.unwrap();
    status(&lower, task.id, TaskStatus::Completed).await;
    fabric.node().stop().await;
}
