//! Priorities, deadlines, timeouts and dependencies.

use std::time::Duration;

use serde_json::{Value, json};
use synod::fabric::{AgentConfig, Fabric, Priority, TaskStatus};
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::resource::ResourceCommand;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::Usage;

use crate::support::{Held, echo, error, eventually, fabric, folder, result, status};

#[tokio::test(flavor = "multi_thread")]
async fn the_more_urgent_task_is_done_first_whenever_it_was_scheduled() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one").concurrency(1)).await.unwrap().id;
    fabric.schedule(agent, "work", &"first").await.unwrap();
    held.begun(1).await;
    for (name, priority) in [
        ("low", Priority::Low),
        ("normal", Priority::Normal),
        ("critical", Priority::Critical),
        ("high", Priority::High),
    ] {
        let task = fabric.schedule(agent, "work", &name).priority(priority).await.unwrap();
        assert_eq!((task.status, task.priority), (TaskStatus::Pending, priority));
    }
    held.release(5);
    held.begun(5).await;
    let order: Vec<Value> = held.begun.lock().clone();
    assert_eq!(order, ["first", "critical", "high", "normal", "low"].map(Value::from));
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_misses_its_deadline_or_runs_too_long_times_out_with_the_reason() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("slow").concurrency(1)).await.unwrap().id;
    let weekly = json!({ "type": "weekly" });
    let hour = fabric.schedule(agent, "report", &weekly).deadline(Duration::from_secs(3600)).await.unwrap();
    held.begun(1).await;
    let late = fabric.schedule(agent, "report", &weekly).deadline(Duration::from_millis(150)).await.unwrap();
    assert!(error(&fabric, late.id).await.contains("TIMEOUT: its deadline passed"));
    held.release(1);
    assert_eq!(result(&fabric, hour.id).await, weekly);

    let long = fabric.schedule(agent, "report", &weekly).timeout(Duration::from_millis(150)).await.unwrap();
    let why = error(&fabric, long.id).await;
    assert!(why.contains("TIMEOUT: attempt 1 ran longer than 150ms"), "{why}");
    assert_eq!(fabric.task(long.id).unwrap().status, TaskStatus::Timeout);
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_final_unless_the_task_says_how_often_it_is_tried() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(echo("one")).await.unwrap().id;
    let once = fabric.schedule(agent, "work", &json!({ "fail": "no luck" })).await.unwrap();
    assert!(error(&fabric, once.id).await.ends_with("FAILED: no luck"));
    assert_eq!(fabric.task(once.id).unwrap().attempts, 1);
    let quick = Duration::from_millis(5);
    let retry = RetryPolicy { max_attempts: 3, initial: quick, factor_percent: 100, max: quick };
    let thrice = fabric.schedule(agent, "work", &json!({ "fail": "no luck" })).retry(retry).await.unwrap();
    error(&fabric, thrice.id).await;
    assert_eq!(fabric.task(thrice.id).unwrap().attempts, 3);

    let impossible = fabric.schedule(agent, "work", &1).requires(["gpu"]).await.unwrap();
    status(&fabric, impossible.id, TaskStatus::Pending).await;
    fabric.cancel(impossible.id).await.unwrap();
    assert!(error(&fabric, impossible.id).await.contains("CANCELLED"));
    fabric.node().stop().await;
}

/// Schedules one task, two that depend on it, and one that depends on both.
async fn diamond(fabric: &Fabric, agent: AgentId) -> [TaskId; 4] {
    let first = fabric.schedule(agent, "work", &"first").await.unwrap().id;
    let left = fabric.schedule(agent, "work", &"left").depends_on([first]).await.unwrap().id;
    let right = fabric.schedule(agent, "work", &"right").depends_on([first]).await.unwrap().id;
    let last = fabric.schedule(agent, "work", &"last").depends_on([left, right]).await.unwrap();
    assert_eq!((last.status, last.depends_on.len()), (TaskStatus::Pending, 2));
    [first, left, right, last.id]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_begins_when_all_it_depends_on_has_completed() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one")).await.unwrap().id;
    let tasks = diamond(&fabric, agent).await;
    held.begun(1).await;
    let why = fabric.node().read(|state| state.why(tasks[3]).unwrap());
    assert_eq!(why.code(), "held_back", "{why}");
    held.release(1);
    held.begun(3).await;
    held.release(1);
    eventually("one of two is done", || (fabric.task(tasks[3]).unwrap().depends_on.len() == 1).then_some(()))
        .await;
    assert_eq!(held.begun.lock().len(), 3, "the last one still waits");
    held.release(2);
    assert_eq!(result(&fabric, tasks[3]).await, json!("last"));
    assert_eq!(held.begun.lock().last(), Some(&json!("last")));

    // Of what has ended already, a completion counts and anything else fails what was to follow.
    let after = fabric.schedule(agent, "work", &"after").depends_on([tasks[0], tasks[3]]).await.unwrap();
    held.release(1);
    assert_eq!(result(&fabric, after.id).await, json!("after"));
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_a_task_that_failed_fails_with_that_reason() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(AgentConfig::new("claude-3-opus", "elsewhere")).await.unwrap().id;
    let tasks = diamond(&fabric, agent).await;
    let lease = fabric.node().claim(agent, 5).await.unwrap();
    assert_eq!(
        lease.iter().map(|one| one.spec.id).collect::<Vec<_>>(),
        [tasks[0]],
        "nothing else is to be had"
    );
    fabric.node().fail(tasks[0], 1, "the roof is leaking", false, Usage::default()).await.unwrap();
    let direct = error(&fabric, tasks[1]).await;
    let expected = format!("FAILED: it was to begin after {}, which failed: the roof is leaking", tasks[0]);
    assert!(direct.ends_with(&expected), "{direct}");
    let last = error(&fabric, tasks[3]).await;
    assert!(last.contains("the roof is leaking"), "the first reason is passed on: {last}");
    let late = fabric.schedule(agent, "work", &1).depends_on([tasks[0]]).await.unwrap();
    assert!(error(&fabric, late.id).await.ends_with("which failed: the roof is leaking"));

    let unknown = fabric.node().new_task_id();
    let refused = fabric.schedule(agent, "work", &1).depends_on([unknown]).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().code(), "prerequisite_unknown");
    assert!(refused.to_string().contains(&unknown.to_string()), "{refused}");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_keeps_its_priority_while_it_waits_for_another() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one").concurrency(1)).await.unwrap().id;
    let first = fabric.schedule(agent, "work", &"first").await.unwrap().id;
    held.begun(1).await;
    fabric.schedule(agent, "work", &"normal").await.unwrap();
    let urgent = fabric.schedule(agent, "work", &"urgent").priority(Priority::Critical);
    urgent.depends_on([first]).await.unwrap();
    held.release(3);
    held.begun(3).await;
    assert_eq!(*held.begun.lock(), ["first", "urgent", "normal"].map(Value::from));
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_another_workspace_cannot_be_depended_on() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one")).await.unwrap().id;
    let ours = fabric.schedule(agent, "work", &"ours").await.unwrap().id;
    let theirs = fabric.clone().in_workspace("other".parse().unwrap());
    let refused = theirs.schedule(agent, "work", &1).depends_on([ours]).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().code(), "prerequisite_unknown");
    held.release(1);
    result(&fabric, ours).await;
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_resource_waits_until_all_of_it_is_there() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let put = ResourceCommand::Put { name: "gpu".parse().unwrap(), capacity: 2, about: "cards".into() };
    fabric.node().propose(Command::Resource(put)).await.unwrap();
    let held = Held::new();
    let agent = fabric.spawn(held.agent("trainer")).await.unwrap().id;
    let large = fabric.schedule(agent, "train", &"large").resources([("gpu", 2)]).await.unwrap();
    held.begun(1).await;
    let small = fabric.schedule(agent, "train", &"small").resources([("gpu", 1)]).await.unwrap();
    let needless = fabric.schedule(agent, "train", &"needless").await.unwrap();
    held.begun(2).await;
    eventually("it is held back", || {
        fabric
            .node()
            .read(|state| state.lacks_resource(small.id))
            .map(|lacks| assert_eq!(lacks.as_str(), "gpu"))
    })
    .await;
    held.release(3);
    for task in [large.id, needless.id, small.id] {
        result(&fabric, task).await;
    }
    let refused = fabric.schedule(agent, "train", &1).resources([("gpu", 3)]).await.unwrap_err().to_string();
    assert!(refused.contains("there are 2"), "{refused}");
    fabric.node().stop().await;
}
