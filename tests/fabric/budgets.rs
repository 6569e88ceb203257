//! Budgets of agents through the fabric.

use serde_json::json;
use synod::fabric::{AgentConfig, BudgetConfig, BudgetStatus, PoolConfig, TaskStatus};
use synod::native::AgentError;
use synod::node::domain::task::Usage;

use crate::support::{echo, eventually, fabric, folder, result};

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_set_used_and_read_as_in_the_guide() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(echo("spender")).await.unwrap().id;
    let budget = fabric.budgets();
    assert_eq!(budget.get_status(agent).unwrap_err().refusal().unwrap().code(), "budget_unknown");
    let config = BudgetConfig {
        max_tokens_per_hour: Some(100_000),
        max_cost_per_day_microusd: Some(10_000_000),
        warn_at_percent: 80,
        ..BudgetConfig::default()
    };
    budget.set_budget(agent, &config).await.unwrap();
    budget.record_usage(agent, 1500, 50_000).await.unwrap();
    let status = budget.get_status(agent).unwrap();
    let expected = BudgetStatus {
        tokens_used: 1500,
        tokens_limit: Some(100_000),
        cost_used_microusd: 50_000,
        cost_limit_microusd: Some(10_000_000),
        percent_used: 1,
        ..BudgetStatus::default()
    };
    assert_eq!(status, expected);
    budget.record_usage(agent, 80_000, 0).await.unwrap();
    assert!(budget.get_status(agent).unwrap().warned, "{:?}", budget.get_status(agent));
    budget.record_usage(agent, 20_000, 0).await.unwrap();
    assert!(budget.get_status(agent).unwrap().over_limit);
    assert!(budget.set_budget(agent, &BudgetConfig::default()).await.is_err(), "a budget has a limit");

    // Nothing more is given to it until the hour turns or the budget ends.
    let task = fabric.schedule(agent, "work", &1).await.unwrap();
    let why = fabric.node().read(|state| state.why(task.id).unwrap()).to_string();
    assert_eq!(fabric.task(task.id).unwrap().status, TaskStatus::Pending, "{why}");
    budget.remove_budget(agent).await.unwrap();
    result(&fabric, task.id).await;
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tasks_report_is_counted_and_a_budget_leaves_with_its_agent() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let reporter = AgentConfig::new("claude-3-opus", "reporter").handler(|context, tokens: u64| async move {
        context.usage(Usage { tokens_in: tokens, tokens_out: 0, cost_microusd: 7 }, None);
        Ok::<_, AgentError>(json!("done"))
    });
    let agent = fabric.spawn(reporter).await.unwrap().id;
    let budget = fabric.budgets();
    let config = BudgetConfig { max_tokens_per_hour: Some(50_000), ..BudgetConfig::default() };
    budget.set_budget(agent, &config).await.unwrap();
    let task = fabric.schedule(agent, "work", &1234_u64).await.unwrap();
    result(&fabric, task.id).await;
    let counted = || (budget.get_status(agent).unwrap().tokens_used == 1234).then_some(());
    eventually("the report is counted", counted).await;
    fabric.terminate(agent).await.unwrap();
    assert_eq!(fabric.node().read(|state| state.budgets().count()), 0);
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_its_configuration_holds_for_an_agent_and_for_a_pool_together() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let config = BudgetConfig { max_tokens_per_hour: Some(500), ..BudgetConfig::default() };
    let agent = fabric.spawn(echo("spender").budget(config.clone())).await.unwrap().id;
    assert_eq!(fabric.budgets().get_status(agent).unwrap().tokens_limit, Some(500));

    let pool = PoolConfig::new("pool-spenders", echo("spenders").budget(config)).min_agents(2);
    let pool = fabric.create_pool(pool).await.unwrap();
    fabric.budgets().record_usage(pool.current_agents[0], 600, 0).await.unwrap();
    let task = fabric.schedule(pool.current_agents[1], "work", &1).await.unwrap();
    let why = || fabric.node().read(|state| state.why(task.id).unwrap()).to_string();
    eventually("the pool has nothing left", || why().contains("fabric/pool-spenders").then_some(())).await;
    fabric.node().cancel(task.id, "enough").await.unwrap();
    fabric.delete_pool("pool-spenders").await.unwrap();
    fabric.terminate(agent).await.unwrap();
    assert_eq!(fabric.node().read(|state| state.budgets().count()), 0);
    fabric.node().stop().await;
}
