//! Claiming, completing and failing: leases behind an API that knows none.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use synod::http::{context, server};
use synod::node::domain::agent::Standing;
use synod::node::domain::command::Command;

use super::Plane;
use crate::support::{self, Api};

#[tokio::test]
async fn a_claimed_task_runs_and_its_completion_is_shown_with_its_result() {
    let plane = Plane::start().await;
    plane.agent("a", &["x", "y"]).await;
    let id = plane.task(json!({"task_type": "t", "payload": {"n": 1}, "required_capabilities": ["x"]})).await;
    let claimed =
        plane.post("/tasks/claim", json!({"agent_id": "a", "capabilities": ["x"]})).await["task"].clone();
    assert_eq!((&claimed["id"], &claimed["payload"]), (&json!(id), &json!({"n": 1})));
    assert_eq!((&claimed["status"], &claimed["assigned_agent"]), (&json!("running"), &json!("a")));
    assert!(claimed["assigned_at"].is_f64() && claimed["started_at"].is_f64());
    let agent = plane.get("/agents/a").await;
    assert_eq!((&agent["status"], &agent["current_task_id"]), (&json!("busy"), &json!(id)));

    let said = json!({"agent_id": "a", "result": {"ok": [true]}, "latency_ms": 12.5});
    assert_eq!(plane.post(&format!("/tasks/{id}/complete"), said).await, json!({"completed": true}));
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &json!({"ok": [true]})));
    assert_eq!((&task["error"], &task["assigned_agent"]), (&Value::Null, &json!("a")));
    assert!(task["completed_at"].as_f64() >= task["started_at"].as_f64());
    let agent = plane.get("/agents/a").await;
    assert_eq!((&agent["status"], &agent["tasks_completed"]), (&json!("ready"), &json!(1)));
    plane.api.stop().await;
}

#[tokio::test]
async fn an_agent_claims_only_what_it_offers_for_this_claim_or_else_was_registered_with() {
    let plane = Plane::start().await;
    plane.agent("a", &["x"]).await;
    plane.task(json!({"task_type": "t", "required_capabilities": ["x"]})).await;
    let claim = |body: Value| plane.post("/tasks/claim", body);
    let none = json!({"agent_id": "a", "capabilities": [], "block_ms": 0});
    assert_eq!(claim(none).await, json!({"task": null}));
    let other = json!({"agent_id": "a", "capabilities": ["y"], "block_ms": 0});
    assert_eq!(claim(other).await, json!({"task": null}));
    assert_eq!(plane.claim("a").await["task_type"], "t");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_claim_registers_its_agent_only_for_who_may_register_agents() {
    let plane = Plane::start().await;
    let claim = async |permissions: &str| {
        let (_, secret) = plane.api.token(permissions.parse().unwrap(), None).await;
        let request = plane.api.bare(Method::POST, "/api/control-plane/tasks/claim").bearer_auth(secret);
        support::send(request.json(&json!({"agent_id": "new", "block_ms": 0}))).await.status.as_u16()
    };
    assert_eq!(claim("tasks:work").await, 403);
    assert_eq!(plane.api.node.read(|state| state.agents().count()), 0);
    assert_eq!(claim("tasks:work,agents:write").await, 200);
    assert_eq!(claim("tasks:work").await, 200, "it is known now");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_claim_that_waits_ends_with_its_token() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let (id, secret) = plane.api.token("tasks:work".parse().unwrap(), None).await;
    let request = plane.api.bare(Method::POST, "/api/control-plane/tasks/claim").bearer_auth(secret);
    let claim = support::send(request.json(&json!({"agent_id": "a", "block_ms": 60_000})));
    let revoke = async {
        while plane.api.node.claims_waiting() == 0 {
            tokio::task::yield_now().await;
        }
        plane.api.delete(&format!("/api/v1/tokens/{id}")).await
    };
    let (answer, _) = tokio::join!(claim, revoke);
    assert_eq!(answer.status.as_u16(), 401, "{answer:#?}");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_claim_waits_and_wakes_when_work_comes() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let claim = plane.post("/tasks/claim", json!({"agent_id": "a", "block_ms": 60_000}));
    let submit = async {
        // The claim waits before there is anything to claim.
        let waits = || plane.api.node.claims_waiting() > 0;
        while !waits() {
            tokio::task::yield_now().await;
        }
        plane.task(json!({"task_type": "t"})).await
    };
    let (claimed, id) = tokio::join!(claim, submit);
    assert_eq!(claimed["task"]["id"], json!(id));
    plane.api.stop().await;
}

#[tokio::test]
async fn an_unknown_agent_that_claims_is_registered_with_what_it_offers() {
    let plane = Plane::start().await;
    plane.task(json!({"task_type": "t", "required_capabilities": ["x"]})).await;
    let claimed = plane.post("/tasks/claim", json!({"agent_id": "new", "capabilities": ["x"]})).await;
    assert_eq!(claimed["task"]["assigned_agent"], "new");
    assert_eq!(plane.get("/agents/new").await["capabilities"], json!(["x"]));
    for body in [json!({}), json!({"agent_id": "", "capabilities": []})] {
        let answer = plane.expect(400, Method::POST, "/tasks/claim", Some(body)).await;
        assert_eq!(answer["error"], "agent_id is required");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn a_completion_is_taken_only_from_the_holder_and_answers_the_same_again() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    plane.agent("b", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    let path = format!("/tasks/{id}/complete");
    let by = |agent: &str, result: u32| Some(json!({"agent_id": agent, "result": result}));
    let unclaimed = plane.expect(409, Method::POST, &path, by("a", 0)).await;
    assert_eq!(unclaimed["error"], format!("Task {id} is held by no agent: it is pending; claim it first"));
    plane.expect(409, Method::POST, &path, None).await;
    plane.claim("a").await;
    for stranger in ["b", "nobody"] {
        let foreign = plane.expect(409, Method::POST, &path, by(stranger, 1)).await;
        assert_eq!(foreign["error"], format!("Task {id} is held by agent a, not by {stranger}"));
        assert_eq!(foreign["code"], "lease_lost");
    }
    assert_eq!(plane.get(&format!("/tasks/{id}")).await["status"], "running");
    for result in [2, 3] {
        plane.expect(200, Method::POST, &path, by("a", result)).await;
    }
    plane.expect(200, Method::POST, &path, None).await;
    assert_eq!(plane.expect(409, Method::POST, &path, by("b", 4)).await["code"], "already_ended");
    assert_eq!(plane.get(&format!("/tasks/{id}")).await["result"], 2, "the first result stays");
    let missing = plane.expect(404, Method::POST, "/tasks/nothing/complete", None).await;
    assert_eq!(missing["error"], "Task not found: nothing");
    plane.api.stop().await;
}

#[tokio::test]
async fn work_of_a_lost_agent_is_redelivered_and_the_late_completion_refused() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    plane.claim("a").await;
    let agent = plane.api.node.read(|state| state.agents().next().unwrap().spec.id);
    let lost = Command::SetStanding { agent, standing: Standing::Offline, reason: "it was silent".into() };
    plane.api.node.propose(lost).await.unwrap();
    assert_eq!(plane.claim("b").await["id"], json!(id));
    let late = json!({"agent_id": "a", "result": "late"});
    let late = plane.expect(409, Method::POST, &format!("/tasks/{id}/complete"), Some(late)).await;
    assert_eq!(late["error"], format!("Task {id} is held by agent b, not by a"));
    plane.post(&format!("/tasks/{id}/complete"), json!({"agent_id": "b", "result": "mine"})).await;
    assert_eq!(plane.get(&format!("/tasks/{id}")).await["result"], "mine");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_failed_task_is_tried_again_until_its_retries_are_used_up_and_is_a_dead_letter_then() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t", "max_retries": 1})).await;
    let path = format!("/tasks/{id}/fail");
    plane.claim("a").await;
    let said = json!({"agent_id": "a", "error": "first"});
    for _ in 0..2 {
        // Said again, it is one failure.
        assert_eq!(plane.post(&path, said.clone()).await, json!({"failed": true}));
    }
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["retries"]), (&json!("pending"), &json!(1)));
    assert_eq!((&task["error"], &task["assigned_agent"]), (&json!("first"), &Value::Null));
    let again = plane.post("/tasks/claim", json!({"agent_id": "a", "block_ms": 60_000})).await;
    assert_eq!(again["task"]["id"], json!(id));
    assert_eq!(plane.bare(&path).await, json!({"failed": true}));
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["retries"]), (&json!("failed"), &json!(1)));
    assert_eq!(task["error"], "Unknown error");
    assert_eq!(plane.api.node.read(|state| state.dead_letters().count()), 1);
    plane.api.stop().await;
}

#[tokio::test]
async fn a_failure_without_requeue_is_a_dead_letter_at_once() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    let path = format!("/tasks/{id}/fail");
    plane.expect(409, Method::POST, &path, None).await;
    plane.claim("a").await;
    let foreign = plane.expect(409, Method::POST, &path, Some(json!({"agent_id": "b"}))).await;
    assert_eq!(foreign["code"], "lease_lost");
    plane.post(&path, json!({"agent_id": "a", "error": "no use", "requeue": false})).await;
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["error"]), (&json!("failed"), &json!("no use")));
    assert_eq!(task["retries"], 0);
    assert_eq!(plane.api.node.read(|state| state.dead_letters().count()), 1);
    plane.api.stop().await;
}

#[tokio::test]
async fn an_agent_that_said_it_is_offline_gets_a_clear_answer_instead_of_work() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    plane.post("/agents/a/heartbeat", json!({"status": "failed"})).await;
    let answer = plane.expect(409, Method::POST, "/tasks/claim", Some(json!({"agent_id": "a"}))).await;
    assert_eq!(answer["error"], "Agent a takes no work: it is failed (its heartbeat said so)");
    plane.api.stop().await;
}

#[tokio::test]
async fn the_work_of_an_agent_that_falls_silent_goes_to_one_that_waits() {
    let options = support::options();
    let api = context::Options { agent_timeout: Duration::from_millis(300), ..options.api };
    let api = Api::with(server::Options { api, ..options }).await;
    let plane = Plane { api, prefix: "/api/control-plane" };
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    assert_eq!(plane.claim("a").await["id"], json!(id));
    let redelivered = plane.post("/tasks/claim", json!({"agent_id": "b", "block_ms": 60_000})).await;
    assert_eq!(redelivered["task"]["id"], json!(id));
    assert_eq!(plane.get("/agents/a").await["status"], "offline");
    // Heard again, it is not gone.
    plane.bare("/agents/a/heartbeat").await;
    plane.task(json!({"task_type": "t"})).await;
    assert!(plane.claim("a").await.is_object());
    plane.api.stop().await;
}

#[tokio::test]
async fn a_claim_that_waits_is_answered_with_nothing_when_the_server_stops() {
    // The stop does not wait for the claim to end by itself: the test gives it less time than the claim has.
    let options = server::Options { drain: support::PATIENCE * 10, ..support::options() };
    let plane = Plane { api: Api::with(options).await, prefix: "/api/control-plane" };
    plane.agent("a", &[]).await;
    let body = json!({ "agent_id": "a", "block_ms": 600_000 });
    let claim = plane.api.call(Method::POST, "/api/control-plane/tasks/claim").json(&body);
    let claim = tokio::spawn(support::send(claim));
    while plane.api.node.claims_waiting() == 0 {
        tokio::task::yield_now().await;
    }
    plane.api.stop().await;
    let answer = claim.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "task": null })));
}
