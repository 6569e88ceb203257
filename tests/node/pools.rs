//! Pools: many agents, other definitions, growth.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use synod::node::domain::agent::AgentStatus;
use synod::node::domain::name::Name;
use synod::node::{NewTask, Node, Pool};

use crate::support::{
    Script, Scripted, agents, completed, eventually, folder, ready, running, scripted, task,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_native_agents_start_and_all_of_them_work() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("crowd", "script").unwrap().size(1000)).await.unwrap();
    ready(&node, "crowd", 1000).await;
    let submits = (0..1000).map(|_| node.submit(task("crowd", &Script::Wait(1500))));
    let tasks = futures::future::try_join_all(submits).await.unwrap();
    let results = futures::future::join_all(tasks.into_iter().map(|task| completed(&node, task))).await;
    let by: BTreeSet<_> = results.iter().map(|result| result["agent"].to_string()).collect();
    // Work is spread over whoever is free; a slow machine may serve some agents twice.
    assert!(by.len() > 500, "only {} of 1000 agents worked", by.len());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_put_again_works_by_its_new_definition() {
    let folder = folder();
    let builder = scripted(folder.path()).native("other", Scripted("other")).unwrap();
    let node = builder.start().await.unwrap();
    let native = |agent| Pool::native("natives", agent).unwrap();
    let by = async |node: &Node| {
        let id = node.submit(task("natives", &Script::Echo(json!(1)))).await.unwrap();
        completed(node, id).await["by"].as_str().unwrap().to_owned()
    };
    node.put_pool(native("script")).await.unwrap();
    assert_eq!(by(&node).await, "script");
    node.put_pool(native("other")).await.unwrap();
    assert_eq!(by(&node).await, "other");

    let said = async |words: &str| {
        node.put_pool(Pool::process("programs", &["echo", words]).unwrap()).await.unwrap();
        let id = node.submit(NewTask::to_pool("programs", "work", &1).unwrap()).await.unwrap();
        completed(&node, id).await
    };
    assert_eq!(said("one").await, json!("one"));
    assert_eq!(said("two").await, json!("two"));

    node.put_pool(native("other").size(3)).await.unwrap();
    ready(&node, "natives", 3).await;
    node.put_pool(native("other").size(1)).await.unwrap();
    ready(&node, "natives", 1).await;
    let pool = Name::new("natives").unwrap();
    let count = || node.read(|state| state.agents_of(&pool).count());
    eventually("surplus agents leave", || (count() == 1).then_some(())).await;

    node.put_pool(native("other").concurrency(4)).await.unwrap();
    let hanging = (0..4).map(|_| node.submit(task("natives", &Script::Hang)));
    let hanging = futures::future::try_join_all(hanging).await.unwrap();
    for task in &hanging {
        running(&node, *task).await;
    }
    for task in hanging {
        node.cancel(task, "seen enough").await.unwrap();
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_hand_when_its_pool_changes_is_redelivered_to_the_new_agents() {
    let folder = folder();
    let builder = scripted(folder.path()).native("other", Scripted("other")).unwrap();
    let node = builder.start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap()).await.unwrap();
    let id = node.submit(task("natives", &Script::HangFirst)).await.unwrap();
    running(&node, id).await;
    node.put_pool(Pool::native("natives", "other").unwrap()).await.unwrap();
    let result = completed(&node, id).await;
    assert_eq!((&result["by"], &result["attempt"]), (&json!("other"), &json!(2)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_grows_from_min_to_max_when_work_waits_and_no_further() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("elastic", "script").unwrap().between(1, 4)).await.unwrap();
    ready(&node, "elastic", 1).await;
    let submits = (0..12).map(|_| node.submit(task("elastic", &Script::Wait(200))));
    let tasks = futures::future::try_join_all(submits).await.unwrap();
    let busy = || agents(&node, "elastic", AgentStatus::Busy);
    eventually("four agents are busy", || (busy() == 4).then_some(())).await;
    for task in tasks {
        completed(&node, task).await;
    }
    let pool = Name::new("elastic").unwrap();
    assert_eq!(node.read(|state| state.agents_of(&pool).count()), 4);
    node.stop().await;

    // How far it has grown is agreed, and holds after a restart.
    let node = scripted(folder.path()).start().await.unwrap();
    ready(&node, "elastic", 4).await;
    let stopped = tokio::time::timeout(Duration::from_secs(30), node.stop()).await;
    assert!(stopped.is_ok(), "idle agents have nothing to drain");
}
