//! Claims and leases: who has a task, and what its holder may say.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, send};

#[tokio::test]
async fn claim_wakes_at_once_when_work_arrives() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let body = json!({ "agent_id": "worker", "wait_ms": 60_000 });
    let (answer, id) = tokio::join!(api.post("/api/v1/tasks/claim", &body), async {
        api.claims_in_line(1).await;
        api.submit(&json!({ "type": "a", "payload": [1] })).await
    });
    let lease = &answer.json()["tasks"][0];
    assert_eq!((&lease["task"]["id"], &lease["attempt"]), (&json!(id), &json!(1)));
    let task = &lease["task"];
    assert_eq!(
        (&task["status"], &task["payload"], &task["lease"]["agent"]),
        (&json!("running"), &json!([1]), &json!(agent))
    );
    let none = api.post("/api/v1/tasks/claim", &json!({ "agent_id": agent })).await;
    assert_eq!(none.json(), json!({ "tasks": [] }), "what is leased is not given out again");
    api.stop().await;
}

#[tokio::test]
async fn claim_that_waits_ends_with_its_token_and_takes_nothing() {
    let api = Api::start().await;
    api.agent("worker", &[]).await;
    for lasts in [None, Some(Duration::from_secs(1))] {
        let ends = lasts.map(|lasts| api.node.now().after(lasts));
        let (id, secret) = api.token("tasks:work".parse().unwrap(), ends).await;
        let body = json!({ "agent_id": "worker", "wait_ms": 60_000 });
        let claim = send(api.bare(Method::POST, "/api/v1/tasks/claim").bearer_auth(&secret).json(&body));
        let (answer, ()) = tokio::join!(claim, async {
            if ends.is_none() {
                api.claims_in_line(1).await;
                assert_eq!(api.delete(&format!("/api/v1/tokens/{id}")).await.status.as_u16(), 204);
            }
        });
        answer.assert_problem(401, "token_unknown");
        let task = api.submit_any("a").await;
        assert_eq!(api.task(&task).await["status"], "pending", "nobody is there to take it");
        api.post(&format!("/api/v1/tasks/{task}/cancel"), &json!({})).await;
    }
    api.stop().await;
}

#[tokio::test]
async fn wait_for_a_task_ends_with_its_token() {
    let api = Api::start().await;
    let task = api.submit_any("a").await;
    let soon = api.node.now().after(Duration::from_secs(1));
    let (_, secret) = api.token("tasks:read".parse().unwrap(), Some(soon)).await;
    let path = format!("/api/v1/tasks/{task}/wait?timeout_ms=60000");
    let answer = send(api.bare(Method::GET, &path).bearer_auth(&secret)).await;
    answer.assert_problem(401, "token_unknown");
    api.stop().await;
}

#[tokio::test]
async fn claim_sent_again_under_its_key_answers_with_the_same_leases() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let (first, second) = (api.submit_any("a").await, api.submit_any("b").await);
    let claim = |key: &'static str| {
        let request = api.call(Method::POST, "/api/v1/tasks/claim").header("Idempotency-Key", key);
        let request = request.json(&json!({ "agent_id": agent }));
        async move {
            let tasks = send(request).await.json()["tasks"].as_array().unwrap().clone();
            tasks.iter().map(|lease| lease["task"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(claim("one").await, vec![first.clone()]);
    assert_eq!(claim("one").await, [first]);
    assert_eq!(claim("two").await, [second]);
    api.stop().await;
}

#[tokio::test]
async fn claim_gives_what_the_agent_offers_this_time() {
    let api = Api::start().await;
    let agent = api.agent("worker", &["python"]).await;
    let id = api.submit(&json!({ "type": "a", "required_capabilities": ["rust"] })).await;
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    let body = json!({ "agent_id": agent, "capabilities": ["rust"] });
    let claimed = api.post("/api/v1/tasks/claim", &body).await;
    assert_eq!(claimed.json()["tasks"][0]["task"]["id"], json!(id));
    api.stop().await;
}

#[tokio::test]
async fn claims_beyond_their_bounds_or_of_nobody_are_refused() {
    let api = Api::start().await;
    api.agent("worker", &[]).await;
    let claim = async |body: Value| api.post("/api/v1/tasks/claim", &body).await;
    claim(json!({ "agent_id": "nobody" })).await.assert_problem(404, "agent_unknown");
    claim(json!({})).await.assert_problem(400, "invalid");
    for (field, value) in [("max", 0), ("max", 101), ("wait_ms", 60_001)] {
        let refused = claim(json!({ "agent_id": "worker", field: value })).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.json()["detail"].as_str().unwrap().starts_with(field), "{refused:?}");
    }
    assert_eq!(api.post("/api/v1/agents/worker/drain", &json!({})).await.status.as_u16(), 202);
    claim(json!({ "agent_id": "worker" })).await.assert_problem(409, "agent_unavailable");
    api.stop().await;
}

#[tokio::test]
async fn stale_attempt_is_refused_with_lease_lost() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("a").await;
    api.claim_one(&agent).await;
    let released = api.post(&format!("/api/v1/tasks/{id}/release"), &json!({ "attempt": 1 })).await;
    assert_eq!((released.status.as_u16(), released.body.as_str()), (204, ""));
    assert_eq!(api.claim_one(&agent).await, (id.clone(), 2));
    for (verb, body) in [
        ("start", json!({ "attempt": 1 })),
        ("heartbeat", json!({ "attempt": 1 })),
        ("progress", json!({ "attempt": 1, "progress": { "percent": 5 } })),
        ("complete", json!({ "attempt": 1, "result": 1 })),
        ("fail", json!({ "attempt": 1, "reason": "x" })),
        ("release", json!({ "attempt": 1 })),
    ] {
        let answer = api.post(&format!("/api/v1/tasks/{id}/{verb}"), &body).await;
        answer.assert_problem(409, "lease_lost");
        let problem = answer.json();
        assert_eq!(problem["detail"], json!(format!("attempt 1 holds no lease on {id}")), "{verb}");
        assert_eq!(problem["type"], "urn:synod:problem:lease_lost");
    }
    assert_eq!(api.task(&id).await["status"], "running", "the later attempt goes on");
    api.stop().await;
}

#[tokio::test]
async fn completion_replayed_with_the_same_attempt_answers_as_the_first_time() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("a").await;
    let (_, attempt) = api.claim_one(&agent).await;
    let complete = |result: u32| {
        let body = json!({ "attempt": attempt, "result": result });
        let path = format!("/api/v1/tasks/{id}/complete");
        let api = &api;
        async move { api.post(&path, &body).await }
    };
    for result in [1, 2] {
        let answer = complete(result).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "completed" })));
    }
    assert_eq!(api.get(&format!("/api/v1/tasks/{id}/result")).await.json(), json!(1), "the first counts");
    for verb in ["start", "heartbeat"] {
        let late = api.post(&format!("/api/v1/tasks/{id}/{verb}"), &json!({ "attempt": attempt })).await;
        late.assert_problem(409, "already_ended");
    }
    api.stop().await;
}

#[tokio::test]
async fn batch_of_completions_is_judged_one_by_one() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let (first, second) = (api.submit_any("a").await, api.submit_any("b").await);
    assert_eq!(api.claim(&agent, 10).await.len(), 2);
    let body = json!({ "items": [
        { "task_id": first, "attempt": 1, "result": "done" },
        { "task_id": second, "attempt": 9 },
        { "task_id": "nonsense", "attempt": 1 },
    ] });
    let items = api.post("/api/v1/tasks/complete", &body).await.json()["items"].clone();
    assert_eq!(items[0], json!({ "status": "completed" }));
    assert_eq!(
        (&items[1]["problem"]["code"], &items[2]["problem"]["code"]),
        (&json!("lease_lost"), &json!("invalid"))
    );
    let too_many: Vec<Value> = (0..1001).map(|_| json!({ "task_id": first, "attempt": 1 })).collect();
    api.post("/api/v1/tasks/complete", &json!({ "items": too_many })).await.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn failed_attempt_is_tried_again_and_the_last_one_makes_a_dead_letter() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit(&json!({ "type": "a", "retry": { "max_attempts": 2, "backoff_ms": 1 } })).await;
    let fail = async |attempt: u64| {
        let body = json!({ "attempt": attempt, "reason": format!("reason {attempt}") });
        api.post(&format!("/api/v1/tasks/{id}/fail"), &body).await.json()
    };
    let wait = json!({ "agent_id": agent, "wait_ms": 60_000 });
    api.claim_one(&agent).await;
    let first = fail(1).await;
    assert!(first["status"] == "pending" && first["retry_at"].is_string(), "{first:#}");
    let again = api.post("/api/v1/tasks/claim", &wait).await.json();
    assert_eq!(again["tasks"][0]["attempt"], json!(2));
    assert_eq!(fail(2).await, json!({ "status": "failed" }));
    let task = api.task(&id).await;
    assert_eq!(
        (&task["status"], &task["reason"], &task["failures"]),
        (&json!("failed"), &json!("reason 2"), &json!(2))
    );
    let letters = api.get("/api/v1/dead-letters").await.json();
    assert_eq!(letters["items"][0]["id"], json!(id));
    api.stop().await;
}

#[tokio::test]
async fn heartbeat_renews_the_lease_and_tells_the_progress() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit(&json!({ "type": "a", "silence_timeout_ms": 3_600_000 })).await;
    let claim = json!({ "agent_id": agent, "start": false });
    let leased = api.post("/api/v1/tasks/claim", &claim).await.json()["tasks"][0].clone();
    assert_eq!(leased["task"]["status"], "scheduled");
    let started = api.post(&format!("/api/v1/tasks/{id}/start"), &json!({ "attempt": 1 })).await;
    assert_eq!(started.json()["status"], "running");
    let body = json!({ "attempt": 1, "progress": { "percent": 40, "message": "half of it" } });
    let lease = api.post(&format!("/api/v1/tasks/{id}/heartbeat"), &body).await.json();
    assert_eq!((&lease["agent"], &lease["attempt"]), (&json!(agent), &json!(1)));
    assert!(lease["expires_at"].as_str() >= leased["expires_at"].as_str(), "{lease:#} {leased:#}");
    assert_eq!(api.task(&id).await["progress"], body["progress"]);
    let wrong = json!({ "attempt": 1, "progress": { "percent": 101 } });
    api.post(&format!("/api/v1/tasks/{id}/progress"), &wrong).await.assert_problem(400, "invalid");
    api.stop().await;
}
