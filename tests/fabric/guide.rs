//! The guide's quick start, its configuration and its words.

use std::time::Duration;

use serde_json::json;
use synod::fabric::{AgentConfig, Config, Priority, TaskStatus};

use crate::support::{echo, fabric, fabric_in, folder, result};

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_spawns_schedules_waits_and_terminates() {
    let folder = folder();
    let config = Config {
        max_concurrent_agents: 100,
        max_concurrent_tasks_per_agent: 5,
        default_timeout: Duration::from_secs(300),
        heartbeat_interval: Duration::from_secs(30),
        ..Config::default()
    };
    let fabric = fabric_in(folder.path(), config).await;

    let agent = fabric.spawn(echo("code-review-agent")).await.unwrap();
    assert_eq!((&*agent.name, agent.model.as_deref()), ("code-review-agent", Some("claude-3-opus")));
    assert_eq!(agent.max_tasks, 5);

    let pull = json!({ "pr_url": "https://github.com/org/repo/pull/123" });
    let task = fabric.schedule(agent.id, "code_review", &pull).await.unwrap();
    assert_eq!((task.task_type.as_str(), task.priority), ("code_review", Priority::Normal));
    assert_eq!(result(&fabric, task.id).await["payload"], pull);
    assert_eq!(fabric.task(task.id).unwrap().status, TaskStatus::Completed);
    assert_eq!(fabric.task(task.id).unwrap().agent, Some(agent.id));

    fabric.terminate(agent.id).await.unwrap();
    assert!(fabric.list().is_empty());
    let gone = fabric.schedule(agent.id, "code_review", &pull).await.unwrap_err();
    assert_eq!(gone.refusal().unwrap().code(), "agent_unknown");
    fabric.node().stop().await;
}

#[test]
fn the_defaults_are_those_of_the_guide() {
    let config = Config::default();
    assert_eq!(config.max_queue_depth, 1000);
    assert_eq!(config.default_timeout, Duration::from_secs(300));
    assert_eq!(config.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.max_concurrent_agents, 100);
    assert_eq!(config.max_concurrent_tasks_per_agent, 5);
}

#[test]
fn priorities_and_statuses_have_the_guide_s_words_and_numbers() {
    let priorities = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];
    assert_eq!(priorities.map(Priority::value), [0, 1, 2, 3]);
    assert_eq!(priorities.map(|one| Priority::from_value(one.value())), priorities.map(Some));
    assert_eq!(Priority::from_value(4), None);
    let statuses = [
        TaskStatus::Pending,
        TaskStatus::Scheduled,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Timeout,
        TaskStatus::Cancelled,
    ];
    let words = ["PENDING", "SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"];
    assert_eq!(statuses.map(TaskStatus::as_str), words);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_agents_in_service_and_tasks_by_how_they_stand() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(echo("one")).await.unwrap();
    // It runs elsewhere and takes nothing by itself.
    let outside = fabric.spawn(AgentConfig::new("claude-3-haiku", "two")).await.unwrap();
    let done = fabric.schedule(agent.id, "work", &1).await.unwrap();
    result(&fabric, done.id).await;
    let failed = fabric.schedule(agent.id, "work", &json!({ "fail": "no" })).await.unwrap();
    fabric.wait_for_task(failed.id).await.unwrap_err();
    let waits = fabric.schedule(outside.id, "work", &2).await.unwrap();
    fabric.schedule(outside.id, "work", &3).depends_on([waits.id]).await.unwrap();

    let stats = fabric.statistics();
    assert_eq!((stats.active_agents, stats.counted_agents, stats.max_agents), (2, 2, 100));
    assert_eq!((stats.pending_tasks, stats.running_tasks), (2, 0));
    assert_eq!((stats.completed_tasks, stats.failed_tasks, stats.pools), (1, 1, 0));

    let lease = fabric.node().claim(outside.id, 1).await.unwrap().remove(0);
    assert_eq!(lease.spec.id, waits.id);
    assert_eq!((fabric.statistics().pending_tasks, fabric.statistics().running_tasks), (1, 1));
    fabric.node().stop().await;
}
