//! Pools that look after themselves, over the API.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, PATIENCE, send};

/// How often a test looks; each look is a request.
const LOOK_EVERY: Duration = Duration::from_millis(20);

async fn until(api: &Api, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let found = api.get(path).await.json();
            if wanted(&found) {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it comes to what is wanted")
}

fn sleeping(name: &str, seconds: &str, min: u32, max: u32) -> Value {
    let runtime = json!({ "process": { "command": ["/bin/sleep", seconds] } });
    json!({ "name": name, "runtime": runtime, "min": min, "max": max })
}

#[tokio::test]
async fn how_a_pool_is_tended_is_put_with_it_shown_and_taken_back_with_what_is_left_out() {
    let api = Api::start().await;
    let mut body = sleeping("p", "0", 0, 4);
    api.post("/api/v1/pools", &json!({ "name": "other", "runtime": "external" })).await;
    body["autoscale"] = json!({ "waiting_per_agent": 2, "zero_after_ms": 5000 });
    body["assignment"] = json!({ "kind": "delegated", "to": "other" });
    body["restart_after"] = json!({ "tasks": 100 });
    body["rollout"] = json!({ "batch": 2, "canary": { "agents": 1 } });
    let made = api.post("/api/v1/pools", &body).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let pool = made.json();
    assert_eq!(pool["autoscale"]["waiting_per_agent"], 2);
    assert_eq!(
        (&pool["autoscale"]["step_up"], &pool["autoscale"]["cooldown_ms"]),
        (&json!(4), &json!(30_000))
    );
    assert_eq!(pool["assignment"], json!({ "kind": "delegated", "to": "other" }));
    assert_eq!(pool["restart_after"], json!({ "tasks": 100 }));
    assert_eq!(pool["rollout"]["canary"], json!({ "agents": 1, "tasks_min": 20, "excess_percent": 10 }));
    for (field, wrong) in [
        ("autoscale", json!({ "step_up": 0 })),
        ("restart_after", json!({})),
        ("rollout", json!({ "batch": 0 })),
        ("assignment", json!({ "kind": "delegated" })),
        ("assignment", json!({ "kind": "sometimes" })),
    ] {
        let mut wrong_body = body.clone();
        wrong_body[field] = wrong;
        let refused = api.post("/api/v1/pools", &wrong_body).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.body.contains(field), "{refused:#?}");
    }
    let again = api.post("/api/v1/pools", &sleeping("p", "0", 0, 4)).await.json();
    assert_eq!(again["assignment"], json!({ "kind": "queued" }));
    for gone in ["autoscale", "restart_after", "rollout"] {
        assert_eq!(again.get(gone), None, "{gone}");
    }
    api.stop().await;
}

#[tokio::test]
async fn pool_comes_from_zero_for_its_work_says_why_and_goes_back() {
    let api = Api::start().await;
    let mut body = sleeping("p", "0", 0, 4);
    body["autoscale"] = json!({ "cooldown_ms": 200, "zero_after_ms": 400 });
    api.post("/api/v1/pools", &body).await;
    let id = api.submit(&json!({ "type": "a", "pool": "p" })).await;
    until(&api, &format!("/api/v1/tasks/{id}"), |task| task["status"] == "completed").await;
    let pool = until(&api, "/api/v1/pools/p", |pool| pool["target"] == 0 && pool["agents"] == 0).await;
    assert_eq!((&pool["scaled"]["from"], &pool["scaled"]["to"]), (&json!(1), &json!(0)));
    assert!(pool["scaled"]["reason"].as_str().unwrap().starts_with("it has had no work"), "{pool}");
    api.stop().await;
}

#[tokio::test]
async fn submit_to_an_immediate_pool_without_anybody_free_is_refused_with_the_reason() {
    let api = Api::start().await;
    let assignment = json!({ "kind": "immediate" });
    api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external", "assignment": assignment })).await;
    let refused = api.post("/api/v1/tasks", &json!({ "type": "a", "pool": "p" })).await;
    refused.assert_problem(409, "nobody_free");
    api.post("/api/v1/agents", &json!({ "name": "worker", "pool": "p" })).await;
    api.submit(&json!({ "type": "a", "pool": "p" })).await;
    api.stop().await;
}

#[tokio::test]
async fn rollout_is_begun_paused_resumed_and_brought_to_every_agent() {
    let api = Api::start().await;
    let (pool, path) = ("/api/v1/pools/p", "/api/v1/pools/p/rollout");
    api.get(path).await.assert_problem(404, "pool_unknown");
    api.post("/api/v1/pools", &sleeping("p", "0", 2, 2)).await;
    until(&api, pool, |pool| pool["ready"] == 2).await;
    api.get(path).await.assert_problem(404, "rollout_unknown");
    api.post(path, &json!({})).await.assert_problem(409, "rollout_refused");
    send(api.call(Method::DELETE, path)).await.assert_problem(409, "rollout_refused");
    let canary = json!({ "agents": 1, "tasks_min": 1 });
    let wanted = json!({ "runtime": { "process": { "command": ["/bin/sleep", "0.01"] } }, "policy": { "canary": canary } });
    let begun = api.post(path, &wanted).await;
    assert_eq!(begun.status.as_u16(), 201, "{begun:#?}");
    assert_eq!(begun.json()["stage"], "canary");
    let paused = api.post(&format!("{path}/pause"), &json!({ "reason": "lunch" })).await.json();
    assert_eq!((&paused["paused"], &paused["next"]), (&json!("lunch"), &json!("it is paused: lunch")));
    send(api.call(Method::POST, &format!("{path}/resume"))).await;
    let watched = until(&api, path, |rollout| rollout["next"].as_str().unwrap().starts_with("0 of 1")).await;
    assert_eq!((&watched["from"]["agents"], &watched["to"]["agents"]), (&json!(1), &json!(1)));
    let tasks: Vec<Value> = (0..12).map(|_| json!({ "type": "a", "pool": "p" })).collect();
    api.post("/api/v1/tasks", &json!(tasks)).await;
    let done = until(&api, path, |rollout| rollout["stage"] == "done").await;
    assert_eq!((&done["to"]["agents"], &done["to"]["number"]), (&json!(2), &json!(1)));
    let shown = api.get(pool).await.json();
    assert_eq!(shown["runtime"]["process"]["command"], json!(["/bin/sleep", "0.01"]));
    assert_eq!(shown.get("rolling"), None);
    api.stop().await;
}

#[tokio::test]
async fn program_that_fails_more_often_is_taken_back_by_itself_and_one_that_is_aborted_too() {
    let api = Api::start().await;
    let (pool, path) = ("/api/v1/pools/p", "/api/v1/pools/p/rollout");
    api.post("/api/v1/pools", &sleeping("p", "0", 2, 2)).await;
    until(&api, pool, |pool| pool["ready"] == 2).await;
    let canary = json!({ "agents": 1, "tasks_min": 2, "excess_percent": 0 });
    let wanted =
        json!({ "runtime": { "process": { "command": ["/bin/false"] } }, "policy": { "canary": canary } });
    api.post(path, &wanted).await;
    until(&api, path, |rollout| rollout["next"].as_str().unwrap().starts_with("0 of 2")).await;
    let tasks: Vec<Value> = (0..20).map(|_| json!({ "type": "a", "pool": "p" })).collect();
    api.post("/api/v1/tasks", &json!(tasks)).await;
    let back = until(&api, path, |rollout| rollout["stage"] == "rolled_back").await;
    assert_eq!((&back["from"]["agents"], &back["to"]["agents"]), (&json!(2), &json!(0)));
    assert!(back["to"]["failed"].as_u64() > Some(0), "{back}");
    assert_eq!(api.get(pool).await.json()["runtime"]["process"]["command"], json!(["/bin/sleep", "0"]));
    let slow = json!({ "concurrency": 3, "policy": { "canary": { "agents": 1, "tasks_min": 1000 } } });
    api.post(path, &slow).await;
    let aborted = send(api.call(Method::DELETE, path)).await.json();
    assert_eq!(
        (&aborted["stage"], &aborted["reason"]),
        (&json!("rolling_back"), &json!("it was taken back by hand"))
    );
    until(&api, path, |rollout| rollout["stage"] == "rolled_back").await;
    api.stop().await;
}

#[tokio::test]
async fn agent_says_how_it_does_and_what_its_programs_take() {
    let api = Api::start().await;
    api.post("/api/v1/pools", &sleeping("p", "30", 1, 1)).await;
    let agents = until(&api, "/api/v1/agents", |page| page["items"][0]["status"] == "READY").await;
    let id = agents["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(agents["items"][0].get("health"), None);
    let path = format!("/api/v1/agents/{id}");
    let idle = api.get(&path).await.json();
    assert_eq!(
        (&idle["health"]["unmeasured"], &idle["version"]),
        (&json!("no program of it is at work"), &json!(0))
    );
    let task = api.submit(&json!({ "type": "a", "pool": "p", "retry": { "max_attempts": 1 } })).await;
    api.submit(&json!({ "type": "a", "agent": id })).await;
    let health = format!("{path}/health");
    let found = until(&api, &health, |health| health["programs"]["processes"].as_u64() >= Some(1)).await;
    assert!(found["programs"]["memory_bytes"].as_u64() > Some(0), "{found}");
    assert!(found["programs"]["cpu_percent"].as_f64() >= Some(0.0), "{found}");
    assert_eq!(
        (&found["held"], &found["queue_depth"], &found["recent_attempts"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let compat = api.get(&format!("/api/control-plane/health/{id}")).await.json();
    assert!(compat["metadata"]["memory_usage"].as_u64() > Some(0), "{compat}");
    assert_eq!(compat["metadata"]["task_queue_size"], 2);
    send(api.call(Method::DELETE, &format!("/api/v1/tasks/{task}"))).await;
    api.get("/api/v1/agents/nobody/health").await.assert_problem(404, "agent_unknown");
    api.stop().await;
}
