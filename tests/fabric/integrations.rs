//! The guide's integrations: agents of a pool given to a workspace, a message for whoever is free, computer use.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use synod::fabric::{AgentConfig, Error, Fabric, PoolConfig, Task};
use synod::node::domain::id::{AgentId, TaskId};

use crate::support::{echo, fabric, folder, result};

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_of_a_pool_are_there_to_be_assigned_when_it_was_made() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    // Whoever keeps workspaces: a rig and its agents.
    let mut rigs: BTreeMap<&str, Vec<AgentId>> = BTreeMap::new();
    let pool =
        fabric.create_pool(PoolConfig::new("pool-backend", echo("backend")).min_agents(2)).await.unwrap();
    for agent in &pool.current_agents {
        rigs.entry("backend").or_default().push(*agent);
    }
    assert_eq!(rigs["backend"].len(), 2);
    let ours = fabric.clone().in_workspace("backend".parse().unwrap());
    for agent in &rigs["backend"] {
        let task = ours.schedule(*agent, "work", &1).await.unwrap();
        result(&ours, task.id).await;
        assert_eq!(fabric.node().task(task.id).unwrap().spec.workspace.as_str(), "backend");
        assert_eq!(fabric.task(task.id).unwrap().agent, Some(*agent));
    }
    fabric.node().stop().await;
}

async fn handle_message(fabric: &Fabric, message: &Value) -> Result<TaskId, Error> {
    let agent = fabric.get_available_agent(Some("pool-support"))?;
    let task: Task = fabric.schedule(agent.id, "handle_message", message).await?;
    Ok(task.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_gateway_is_handled_by_an_agent_that_is_available() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    fabric.create_pool(PoolConfig::new("pool-support", echo("support")).min_agents(2)).await.unwrap();
    let message = json!({ "channel": "mail", "from": "ada", "text": "my printer is on fire" });
    let task = handle_message(&fabric, &message).await.unwrap();
    assert_eq!(result(&fabric, task).await["payload"], message);
    fabric.node().stop().await;
}

/// What a computer-use task asks for.
#[derive(Debug, Deserialize)]
struct Goal {
    goal: String,
    max_steps: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_use_task_reaches_its_agent_as_a_typed_payload() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let browser = AgentConfig::new("claude-3-opus", "browser").handler(|context, goal: Goal| async move {
        for step in 1..=goal.max_steps {
            context.progress(u8::try_from(step * 100 / goal.max_steps).unwrap_or(100), "clicking");
        }
        Ok(format!("{} in {} steps", goal.goal, goal.max_steps))
    });
    let agent = fabric.spawn(browser).await.unwrap();
    let payload = json!({ "goal": "Navigate to settings page", "max_steps": 10 });
    let task = fabric.schedule(agent.id, "computer_use", &payload).await.unwrap();
    let done: String = fabric.wait_for(task.id).await.unwrap();
    assert_eq!(done, "Navigate to settings page in 10 steps");
    let other = fabric.schedule(agent.id, "computer_use", &"no goal").await.unwrap();
    let why = fabric.wait_for_task(other.id).await.unwrap_err().to_string();
    assert!(why.contains("the payload is not what this agent takes"), "{why}");
    fabric.node().stop().await;
}
