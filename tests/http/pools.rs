//! Pools over the API.

use reqwest::Method;
use serde_json::json;

use synod::client::{Client, Token};
use synod::fleet::{Fleet, Inputs};
use synod::node::domain::task::Phase;
use synod::run::{Progress, RemoteRun};

use crate::support::{Api, PATIENCE, send};

#[tokio::test]
async fn pool_is_made_changed_scaled_within_its_bounds_and_removed_when_it_is_empty() {
    let api = Api::start().await;
    let body = json!({ "name": "build/rust", "runtime": { "process": { "command": ["/bin/true"] } }, "min": 1, "max": 3, "capabilities": ["rust"], "strategy": "round_robin" });
    let made = api.post("/api/v1/pools", &body).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let pool = made.json();
    assert_eq!(
        (&pool["min"], &pool["max"], &pool["target"], &pool["strategy"]),
        (&json!(1), &json!(3), &json!(1), &json!("round_robin"))
    );
    let path = "/api/v1/pools/build%2Frust";
    assert_eq!(api.post(&format!("{path}/scale"), &json!({ "target": 2 })).await.json()["target"], 2);
    assert_eq!(api.put(&format!("{path}/scale"), &json!({ "target": 99 })).await.json()["target"], 3);
    let again = api.post("/api/v1/pools", &json!({ "name": "build/rust", "runtime": { "process": { "command": ["/bin/true"] } }, "min": 0, "max": 1 })).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["target"], &again.json()["created_at"]),
        (200, &json!(1), &pool["created_at"])
    );
    let gone = api.delete(path).await;
    assert!([202, 204].contains(&gone.status.as_u16()), "{gone:#?}");
    api.stop().await;
}

#[tokio::test]
async fn task_of_a_pool_goes_there_and_the_pool_retires_when_its_work_is_done() {
    let api = Api::start().await;
    assert_eq!(
        api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external" })).await.status.as_u16(),
        201
    );
    let agent = api.post("/api/v1/agents", &json!({ "name": "worker", "pool": "p" })).await.json();
    let answer = api.post("/api/v1/pools/p/tasks", &json!({ "type": "a" })).await;
    assert_eq!(answer.status.as_u16(), 201);
    let id = answer.json()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(api.task(&id).await["pool"], "p");
    let elsewhere = api.post("/api/v1/pools/p/tasks", &json!({ "type": "a", "pool": "q" })).await;
    elsewhere.assert_problem(400, "invalid");
    api.post("/api/v1/pools/q/tasks", &json!({ "type": "a" })).await.assert_problem(404, "pool_unknown");
    let retiring = api.delete("/api/v1/pools/p").await;
    assert_eq!(
        (retiring.status.as_u16(), &retiring.json()["retiring"]),
        (202, &json!(true)),
        "{retiring:#?}"
    );
    api.post("/api/v1/pools/p/tasks", &json!({ "type": "a" })).await.assert_problem(409, "pool_retiring");
    let (claimed, attempt) = api.claim_one(agent["id"].as_str().unwrap()).await;
    assert_eq!(claimed, id);
    api.post(&format!("/api/v1/tasks/{id}/complete"), &json!({ "attempt": attempt })).await;
    api.get("/api/v1/pools/p").await.assert_problem(404, "pool_unknown");
    api.stop().await;
}

#[tokio::test]
async fn pool_removed_by_force_calls_its_work_off() {
    let api = Api::start().await;
    api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external" })).await;
    let id = api.submit(&json!({ "type": "a", "pool": "p" })).await;
    let gone = api.delete("/api/v1/pools/p?force=true").await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""), "{gone:#?}");
    let task = api.task(&id).await;
    assert_eq!(
        (&task["status"], &task["reason"]),
        (&json!("cancelled"), &json!("its pool was removed by force"))
    );
    api.stop().await;
}

#[tokio::test]
async fn pool_is_removed_by_force_only_by_who_may_call_off_tasks() {
    let api = Api::start().await;
    api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external" })).await;
    let id = api.submit(&json!({ "type": "a", "pool": "p" })).await;
    let (_, secret) = api.token("pools:*".parse().unwrap(), None).await;
    let delete = |path: &str| send(api.bare(Method::DELETE, path).bearer_auth(&secret));
    let refused = delete("/api/v1/pools/p?force=true").await;
    refused.assert_problem(403, "not_allowed");
    assert!(refused.body.contains("tasks:delete"), "{refused:#?}");
    assert_eq!(api.task(&id).await["status"], "pending");
    assert_eq!(delete("/api/v1/pools/p").await.status.as_u16(), 202);
    api.stop().await;
}

#[tokio::test]
async fn pool_whose_agents_could_not_work_here_is_refused_with_the_reason() {
    let api = Api::start().await;
    for (body, named) in [
        (
            json!({ "name": "p", "runtime": { "process": { "command": ["/no/such/program"] } } }),
            "/no/such/program",
        ),
        (json!({ "name": "p", "runtime": { "process": { "command": [] } } }), "command"),
        (
            json!({ "name": "p", "runtime": { "process": { "command": ["/bin/true"], "cwd": "here" } } }),
            "cwd",
        ),
        (json!({ "name": "p", "runtime": { "native": "ghost" } }), "ghost"),
        (json!({ "name": "p", "runtime": "external", "strategy": "best" }), "strategy"),
        (json!({ "name": "p", "runtime": "external", "min": 2, "max": 1 }), "size"),
        (json!({ "name": "p" }), "runtime"),
        (json!({ "name": "a b", "runtime": "external" }), "name"),
    ] {
        let refused = api.post("/api/v1/pools", &body).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.json()["detail"].as_str().unwrap().contains(named), "{named}: {refused:#?}");
    }
    api.get("/api/v1/pools/p").await.assert_problem(404, "pool_unknown");
    api.post("/api/v1/pools/p/scale", &json!({ "target": 1 })).await.assert_problem(404, "pool_unknown");
    api.delete("/api/v1/pools/p").await.assert_problem(404, "pool_unknown");
    api.stop().await;
}

/// Tells nobody how a run gets on.
struct Silent;

impl Progress for Silent {
    fn submitted(&mut self, _: &str, _: &str, _: usize) {}

    fn ended(&mut self, _: &str, _: &str, _: Phase, _: bool) {}

    fn notice(&mut self, _: &str) {}
}

#[tokio::test]
async fn a_run_from_elsewhere_carries_restart_and_retry_of_its_file() {
    let api = Api::start().await;
    let text = r#"
name: far
pools:
  hands:
    command: [cat]
    restart: {kind: transient, intensity: 7, period: 90s, initial: 250ms, max: 45s}
tasks:
  - {name: one, pool: hands, retry: {max_attempts: 4, initial: 2s, factor: 1.5, max: 9s}}
"#;
    let plan = Fleet::parse("far.yaml", text).unwrap().expand(&Inputs::default()).unwrap();
    let (pool, retry) = (plan.pools[0].clone(), plan.entries[0].retry.clone());
    assert_eq!((pool.restart.intensity, retry.factor_percent), (7, 150));
    let client = Client::new(&api.server.url(), Token::from(api.admin.expose().to_owned())).unwrap();
    let run = RemoteRun::open(&client, plan, false).await.unwrap();
    run.set_up_pools().await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, run.drive(&mut Silent)).await.unwrap().unwrap();
    let spec = api.node.read(|state| state.pools().next().unwrap().spec.clone());
    assert_eq!((spec.restart.clone(), spec.recovery), (pool.restart, pool.recovery));
    let task = api.node.task(outcome.entries[0].tasks[0].task).unwrap();
    assert_eq!(task.spec.retry, retry);
    let shown = api.get("/api/v1/pools/far%2Fhands").await.json();
    let restart = json!({ "kind": "transient", "intensity": 7, "period_ms": 90_000, "backoff_ms": 250, "backoff_max_ms": 45_000 });
    assert_eq!(shown["restart"], restart);
    api.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_restart_or_a_backoff_is_refused() {
    let api = Api::start().await;
    for restart in [
        json!({ "kind": "always" }),
        json!({ "intensity": 101 }),
        json!({ "period_ms": 0 }),
        json!({ "backoff_ms": 2, "backoff_max_ms": 1 }),
    ] {
        let body = json!({ "name": "p", "runtime": "external", "restart": restart });
        api.post("/api/v1/pools", &body).await.assert_problem(400, "invalid");
    }
    for factor in [99, 10_001] {
        let body = json!({ "type": "a", "retry": { "backoff_factor_percent": factor } });
        api.post("/api/v1/tasks", &body).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}
