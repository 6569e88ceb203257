//! Budgets and usage over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Api;

fn budget(name: &str, scope: &str, most: u64) -> Value {
    json!({ "name": name, "scope": scope, "limits": [{ "measure": "tokens", "most": most, "window": "hour" }] })
}

async fn limit(api: &Api, name: &str) -> Value {
    api.get(&format!("/api/v1/budgets/{name}")).await.json()["limits"][0].clone()
}

async fn complete(api: &Api, task: &str, attempt: u64, usage: &Value) {
    let body = json!({ "attempt": attempt, "usage": usage });
    let answer = api.post(&format!("/api/v1/tasks/{task}/complete"), &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:#?}");
}

#[tokio::test]
async fn a_task_reserves_its_estimate_settles_its_usage_and_the_next_waits_with_a_reason() {
    let api = Api::start().await;
    let made = api.post("/api/v1/budgets", &budget("b", "workspace:default", 1000)).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    assert_eq!(
        api.post("/api/v1/budgets", &budget("b", "workspace:default", 1000)).await.status.as_u16(),
        200
    );
    api.agent("spender", &[]).await;
    let task = |tokens: u64| json!({ "type": "spend", "estimate": { "tokens": tokens }, "model": "small" });
    api.submit(&task(700)).await;
    let second = api.submit(&task(400)).await;
    let (first, attempt) = api.claim_one("spender").await;
    let held = limit(&api, "b").await;
    assert_eq!((&held["reserved"], &held["settled"], &held["left"]), (&json!(700), &json!(0), &json!(300)));
    assert!(api.claim("spender", 1).await.is_empty());
    let why = api.get(&format!("/api/v1/tasks/{second}/why")).await.json();
    assert_eq!(why["cause"], "held_back");
    assert!(why["sentence"].as_str().unwrap().contains("budget b"), "{why}");
    assert_eq!(api.get("/api/v1/budgets/summary").await.json()["waiting"], 1);
    complete(&api, &first, attempt, &json!({ "tokens_in": 100, "tokens_out": 23 })).await;
    let settled = limit(&api, "b").await;
    assert_eq!((&settled["reserved"], &settled["settled"]), (&json!(0), &json!(123)));
    let (claimed, attempt) = api.claim_one("spender").await;
    assert_eq!(claimed, second);
    // A usage of nothing that was said counts as nothing.
    complete(&api, &second, attempt, &json!({})).await;
    assert_eq!(limit(&api, "b").await["settled"], 123);
    let report = api.get("/api/v1/usage?by=model").await.json();
    assert_eq!(report["items"][0]["key"], "small");
    assert_eq!((&report["total"]["tokens_in"], &report["total"]["attempts"]), (&json!(100), &json!(2)));
    let by_agent = api.get("/api/v1/usage").await.json();
    assert_eq!(by_agent["items"][0]["name"], "spender");
    api.stop().await;
}

#[tokio::test]
async fn an_attempt_that_passes_a_limit_is_told_with_its_heartbeat_and_stopped() {
    let api = Api::start().await;
    api.post("/api/v1/budgets", &budget("b", "global", 100)).await;
    api.agent("spender", &[]).await;
    let task = json!({ "type": "spend", "estimate": { "tokens": 50 }, "over_budget": "fail" });
    let id = api.submit(&task).await;
    let (_, attempt) = api.claim_one("spender").await;
    let beat = async |tokens: u64| {
        let body = json!({ "attempt": attempt, "usage": { "tokens_in": tokens } });
        api.post(&format!("/api/v1/tasks/{id}/heartbeat"), &body).await.json()
    };
    assert_eq!(beat(90).await["over_budget_at"], Value::Null);
    assert!(beat(150).await["over_budget_at"].is_string());
    let alerts = api.get("/api/v1/budgets/b/alerts").await.json();
    assert_eq!(alerts["items"], json!([]), "reserved is not spent");
    api.clock.advance(Duration::from_secs(11));
    let ended = api.get(&format!("/api/v1/tasks/{id}/wait?timeout_ms=60000")).await.json();
    assert_eq!(ended["status"], "failed");
    assert!(ended["reason"].as_str().unwrap().starts_with("budget exhausted"), "{ended}");
    let alerts = api.get("/api/v1/budgets/b/alerts").await.json();
    assert_eq!(alerts["items"][0]["kind"], "exhausted");
    api.stop().await;
}

#[tokio::test]
async fn a_provider_that_refuses_for_now_holds_its_account_and_counts_no_failure() {
    let api = Api::start().await;
    api.agent("spender", &[]).await;
    let task = json!({ "type": "spend", "account": "acme", "retry": { "max_attempts": 1 } });
    api.submit(&task).await;
    let other = api.submit(&task).await;
    let (id, attempt) = api.claim_one("spender").await;
    let body = json!({ "attempt": attempt, "reason": "429", "rate_limited_for_ms": 30_000 });
    let answer = api.post(&format!("/api/v1/tasks/{id}/fail"), &body).await;
    assert_eq!(answer.json()["status"], "pending");
    assert!(api.claim("spender", 1).await.is_empty());
    let summary = api.get("/api/v1/budgets/summary").await.json();
    assert_eq!(summary["held_accounts"][0]["account"], "acme");
    api.clock.advance(Duration::from_secs(31));
    let claim = json!({ "agent_id": "spender", "max": 2, "wait_ms": 60_000 });
    let leases = api.post("/api/v1/tasks/claim", &claim).await.json();
    assert!(!leases["tasks"].as_array().unwrap().is_empty(), "{leases}");
    let (first, second) = (api.get(&format!("/api/v1/tasks/{id}")).await.json(), other);
    assert_eq!((&first["failures"], &first["losses"]), (&json!(0), &json!(0)));
    assert_ne!(first["id"], second);
    api.stop().await;
}

#[tokio::test]
async fn budgets_are_checked_raised_reset_recorded_and_removed() {
    let api = Api::start().await;
    let agent = api.agent("spender", &[]).await;
    api.post("/api/v1/budgets", &budget("b", &format!("agent:{agent}"), 100)).await;
    let usage = json!({ "agent_id": "spender", "tokens_in": 70, "tokens_out": 15, "model": "small" });
    assert_eq!(api.post("/api/v1/usage", &usage).await.status.as_u16(), 204);
    assert_eq!(limit(&api, "b").await["percent"], 85);
    let check = async |tokens: u64| {
        api.post("/api/v1/budgets/b/check", &json!({ "tokens": tokens })).await.json()["allowed"].clone()
    };
    assert_eq!((check(15).await, check(16).await), (json!(true), json!(false)));
    let raise = json!({ "percent": 50, "for_ms": 60_000, "reason": "the demo" });
    assert_eq!(api.post("/api/v1/budgets/b/override", &raise).await.json()["limits"][0]["most"], 150);
    assert_eq!(check(65).await, true);
    assert_eq!(api.post("/api/v1/budgets/b/reset", &json!({})).await.json()["limits"][0]["settled"], 0);
    let names = api.walk("/api/v1/budgets?limit=1", "name").await;
    assert_eq!(names, ["b"]);
    assert_eq!(api.delete("/api/v1/budgets/b").await.status.as_u16(), 204);
    api.get("/api/v1/budgets/b").await.assert_problem(404, "budget_unknown");
    for wrong in [
        budget("b", "team:x", 1),
        json!({ "name": "b", "scope": "global", "limits": [] }),
        json!({ "name": "b", "scope": "global", "limits": [{ "measure": "tokens", "most": 1, "window": "rolling" }] }),
    ] {
        assert_eq!(api.post("/api/v1/budgets", &wrong).await.status.as_u16(), 400, "{wrong}");
    }
    api.stop().await;
}

#[tokio::test]
async fn what_holds_for_all_budgets_is_shown_and_set_and_reserved() {
    let api = Api::start().await;
    let path = "/api/v1/budgets/settings";
    let known = api.get(path).await.json();
    assert_eq!((&known["estimate"]["tokens"], &known["grace_ms"]), (&json!(4000), &json!(10_000)));
    let mut wanted = known.clone();
    wanted["estimate"]["tokens"] = json!(600);
    assert_eq!(api.put(path, &wanted).await.json(), wanted);
    assert_eq!(api.get(path).await.json(), wanted);
    api.post("/api/v1/budgets", &budget("b", "global", 1000)).await;
    api.agent("spender", &[]).await;
    api.submit_any("spend").await;
    api.claim_one("spender").await;
    assert_eq!(limit(&api, "b").await["reserved"], 600);
    api.stop().await;
}
