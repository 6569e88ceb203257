//! A fabric whose node stops with work unfinished, and begins again.

use serde_json::json;
use synod::fabric::{Config, PoolConfig, TaskStatus};
use synod::node::domain::agent::AgentStatus;

use crate::support::{Held, echo, eventually, fabric, fabric_in, folder, result, status};

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_work_is_done_by_the_same_agent_after_a_restart() {
    let folder = folder();
    let config = Config { max_concurrent_agents: 2, ..Config::default() };
    let first = fabric_in(folder.path(), config.clone()).await;
    let held = Held::new();
    let agent = first.spawn(held.agent("steady").concurrency(1)).await.unwrap();
    let in_hand = first.schedule(agent.id, "work", &"in hand").await.unwrap().id;
    held.begun(1).await;
    let waits = first.schedule(agent.id, "work", &"waits").await.unwrap().id;
    let after = first.schedule(agent.id, "work", &"after").depends_on([in_hand, waits]).await.unwrap().id;
    first.node().stop().await;
    drop(first);

    let second = fabric_in(folder.path(), config).await;
    assert_eq!(second.list()[0].id, agent.id, "it is known before anybody says how it works");
    assert_eq!(second.task(after).unwrap().depends_on.len(), 2, "what it waits for is agreed");
    let again = second.spawn(echo("steady")).await.unwrap();
    assert_eq!(again.id, agent.id, "whoever spawns it again takes it up");
    assert_eq!(result(&second, after).await["payload"], "after");
    for task in [in_hand, waits] {
        assert_eq!(second.task(task).unwrap().status, TaskStatus::Completed);
    }
    second.spawn(echo("another")).await.unwrap();
    assert!(second.spawn(echo("third")).await.is_err(), "the limits are agreed");
    second.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_function_is_missing_says_so_until_it_is_registered() {
    let folder = folder();
    let first = fabric(&folder).await;
    let pool = first.create_pool(PoolConfig::new("natives", echo("natives")).min_agents(2)).await.unwrap();
    first.node().stop().await;
    drop(first);

    let second = fabric(&folder).await;
    let waits = second.schedule_to_pool("natives", "work", &json!(1)).await.unwrap().id;
    let agent = pool.current_agents[0];
    let failed = || {
        let agent = second.node().read(|state| state.agent(agent).cloned())?;
        (agent.status() == AgentStatus::Failed).then(|| agent.reason.to_string())
    };
    let reason = eventually("it has no function", failed).await;
    assert!(reason.contains("no native agent fabric/natives is registered"), "{reason}");
    assert_eq!(second.task(waits).unwrap().status, TaskStatus::Pending);
    let known = second.create_pool(PoolConfig::new("natives", echo("natives")).min_agents(2)).await.unwrap();
    assert_eq!(known.current_agents, pool.current_agents);
    status(&second, waits, TaskStatus::Completed).await;
    second.node().stop().await;
}
