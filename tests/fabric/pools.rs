//! Pools of the fabric: made, scaled, fed, drained.

use std::collections::BTreeSet;

use serde_json::json;
use synod::fabric::{AgentConfig, PoolConfig, TaskStatus};

use crate::support::{Held, echo, eventually, fabric, folder, result, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_made_scaled_fed_and_deleted_as_in_the_guide() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let frontend = PoolConfig::new("pool-frontend", echo("Frontend Agents")).min_agents(2).max_agents(10);
    let pool = fabric.create_pool(frontend).await.unwrap();
    assert_eq!((pool.id.as_str(), &*pool.name), ("pool-frontend", "Frontend Agents"));
    assert_eq!((pool.current_agents.len(), pool.min_agents, pool.max_agents), (2, 2, 10));

    assert_eq!(fabric.scale_pool("pool-frontend", 5).await.unwrap().target_size, 5);
    let five = || (fabric.pool("pool-frontend").unwrap().current_agents.len() == 5).then_some(());
    eventually("five agents", five).await;
    assert_eq!(fabric.scale_pool("pool-frontend", 50).await.unwrap().target_size, 10, "kept within its most");
    assert_eq!(fabric.scale_pool("pool-frontend", 0).await.unwrap().target_size, 2, "and within its least");

    let payload = json!({ "component": "Dashboard" });
    let task = fabric.schedule_to_pool("pool-frontend", "ui_review", &payload).await.unwrap();
    assert_eq!(result(&fabric, task.id).await["payload"], payload);
    fabric.delete_pool("pool-frontend").await.unwrap();
    assert!(fabric.pools().is_empty() && fabric.list().is_empty());
    let gone = fabric.schedule_to_pool("pool-frontend", "ui_review", &payload).await.unwrap_err();
    assert_eq!(gone.refusal().unwrap().code(), "pool_unknown");
    let again = fabric.delete_pool("pool-frontend").await.unwrap_err();
    assert_eq!(again.refusal().unwrap().code(), "pool_unknown");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pool_finishes_what_waits_and_what_is_in_hand_first() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agents = held.agent("drainers").concurrency(1);
    fabric.create_pool(PoolConfig::new("drainers", agents).min_agents(2)).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..6 {
        tasks.push(fabric.schedule_to_pool("drainers", "work", &number).await.unwrap().id);
    }
    held.begun(2).await;
    let deleting = tokio::spawn({
        let fabric = fabric.clone();
        async move { fabric.delete_pool("drainers").await }
    });
    let retiring = || {
        let refused = fabric.node().read(|state| state.pools().any(|pool| pool.retiring.is_some()));
        refused.then_some(())
    };
    eventually("the pool retires", retiring).await;
    let late = fabric.schedule_to_pool("drainers", "work", &7).await.unwrap_err();
    assert_eq!(late.refusal().unwrap().code(), "pool_retiring");
    assert!(!deleting.is_finished(), "it waits for six tasks");
    held.release(6);
    deleting.await.unwrap().unwrap();
    for task in tasks {
        assert_eq!(fabric.task(task).unwrap().status, TaskStatus::Completed);
    }
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pools_each_get_their_own_work() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let pools = [
        ("pool-review", 2, 5, "code_review"),
        ("pool-code", 3, 10, "implement"),
        ("pool-test", 2, 8, "run_tests"),
    ];
    for (id, min, max, _) in pools {
        fabric.create_pool(PoolConfig::new(id, echo(id)).min_agents(min).max_agents(max)).await.unwrap();
    }
    assert_eq!(fabric.statistics().active_agents, 7);
    for (id, _, _, work) in pools {
        let task = fabric.schedule_to_pool(id, work, &json!({ "of": id })).await.unwrap();
        let by = result(&fabric, task.id).await["agent"].as_str().unwrap().to_owned();
        assert!(by.starts_with(id), "{work} was done by {by}");
    }
    assert_eq!(
        fabric.pools().iter().map(|pool| pool.id.as_str()).collect::<Vec<_>>(),
        ["pool-code", "pool-review", "pool-test"]
    );
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_available_agent_is_the_one_with_the_fewest_tasks() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agents = held.agent("support").concurrency(1);
    fabric.create_pool(PoolConfig::new("pool-support", agents).min_agents(3)).await.unwrap();
    // Each gets two before anybody gets three.
    let mut chosen = Vec::new();
    for number in 0..6 {
        let agent = fabric.get_available_agent(Some("pool-support")).unwrap();
        fabric.schedule(agent.id, "handle_message", &number).await.unwrap();
        chosen.push(agent.id);
    }
    assert_eq!(chosen[..3].iter().collect::<BTreeSet<_>>().len(), 3, "{chosen:?}");
    assert_eq!(chosen[3..].iter().collect::<BTreeSet<_>>().len(), 3, "{chosen:?}");
    held.release(6);
    for agent in fabric.list() {
        let quiet = || {
            let info = fabric.agent_info(agent.id).unwrap();
            (info.pending + info.running == 0).then_some(info.completed)
        };
        assert_eq!(eventually("it is done", quiet).await, 2);
    }

    let nobody = fabric.get_available_agent(Some("nowhere")).unwrap_err();
    assert_eq!(nobody.refusal().unwrap().code(), "pool_unknown");
    let outside = AgentConfig::new("claude-3-opus", "outside");
    fabric.create_pool(PoolConfig::new("empty", outside).min_agents(0)).await.unwrap();
    let nobody = fabric.get_available_agent(Some("empty")).unwrap_err().to_string();
    assert!(nobody.contains("no agent of pool empty takes work"), "{nobody}");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_others_is_not_taken_over_and_a_member_may_be_terminated() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    fabric.node().put_pool(synod::node::Pool::external("theirs").unwrap()).await.unwrap();
    let taken = fabric.create_pool(PoolConfig::new("theirs", echo("x"))).await.unwrap_err().to_string();
    assert!(taken.contains("not the fabric's; choose another name"), "{taken}");
    assert!(fabric.pool("theirs").is_err());

    let pool =
        fabric.create_pool(PoolConfig::new("ours", echo("ours")).min_agents(1).max_agents(3)).await.unwrap();
    let only = pool.current_agents[0];
    let least = fabric.terminate(only).await.unwrap_err().to_string();
    assert!(least.contains("keeps at least 1 agents"), "{least}");
    fabric.scale_pool("ours", 2).await.unwrap();
    eventually("two agents", || (fabric.statistics().active_agents == 2).then_some(())).await;
    fabric.terminate(only).await.unwrap();
    let left = fabric.pool("ours").unwrap();
    assert_eq!((left.target_size, left.current_agents.contains(&only)), (1, false));
    let task = fabric.schedule_to_pool("ours", "work", &1).await.unwrap();
    status(&fabric, task.id, TaskStatus::Completed).await;
    fabric.node().stop().await;
}
