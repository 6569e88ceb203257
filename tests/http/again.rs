//! Changes that are sent again under their key: they count once, whatever others did between.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, options, send};

impl Api {
    /// Changes something under a key.
    async fn keyed(&self, key: &str, method: Method, path: &str, body: &Value) -> Answer {
        send(self.call(method, path).header("Idempotency-Key", key).json(body)).await
    }
}

#[tokio::test]
async fn a_change_sent_again_under_its_key_does_not_undo_what_others_did_between() {
    let api = Api::start().await;
    let pool = json!({ "name": "hands", "runtime": "external" });
    assert_eq!(api.post("/api/v1/pools", &pool).await.status, 201);
    let scale = async |key: &str, target: u32| {
        let body = json!({ "target": target });
        api.keyed(key, Method::POST, "/api/v1/pools/hands/scale", &body).await.json()["target"].clone()
    };
    assert_eq!(scale("a", 3).await, 3);
    assert_eq!(scale("b", 5).await, 5);
    assert_eq!(scale("a", 3).await, 5, "it counted before");

    let ada = json!({ "name": "ada" });
    let register = async || api.keyed("ada", Method::POST, "/api/v1/agents", &ada).await.json();
    let first = register().await;
    assert_eq!(api.post("/api/v1/agents/ada/drain", &json!({})).await.status, 202);
    let again = register().await;
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &json!("DRAINING")), "{again}");

    // What is removed and made anew under the same name is not removed by the repetition.
    let remove = async |path: &str| api.keyed("gone", Method::DELETE, path, &json!({})).await.status.as_u16();
    for (path, made, body) in
        [("/api/v1/agents/ada", "/api/v1/agents", &ada), ("/api/v1/pools/hands", "/api/v1/pools", &pool)]
    {
        assert_eq!(remove(path).await, 204, "{path}");
        assert_eq!(remove(path).await, 204, "{path}");
        assert_eq!(api.post(made, body).await.status, 201, "{path}");
        assert_eq!(remove(path).await, 204, "{path}");
        assert_eq!(api.get(path).await.status, 200, "{path}: the new one stays");
        assert_eq!(api.delete(path).await.status, 204, "{path}: without a key it goes");
        api.delete(path)
            .await
            .assert_problem(404, if made.ends_with("agents") { "agent_unknown" } else { "pool_unknown" });
    }
    api.stop().await;
}

#[tokio::test]
async fn what_was_made_under_a_key_is_told_again_and_not_made_twice() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let dead = api.dead_letter(&agent, "a").await;
    let redrive = async || {
        let path = format!("/api/v1/dead-letters/{dead}/redrive");
        let answer = api.keyed("k", Method::POST, &path, &json!({})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["task_id"].clone()
    };
    let first = redrive().await;
    assert_eq!(redrive().await, first);

    let open = json!({ "fleet": "f", "plan": { "a": 1 }, "fresh": true });
    let run = async |key: &str| {
        let answer = api.keyed(key, Method::POST, "/api/v1/runs", &open).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    };
    let first = run("one").await;
    assert_eq!(run("one").await, first);
    let second = run("two").await;
    assert_ne!(second["id"], first["id"]);
    api.keyed("one", Method::POST, "/api/v1/runs", &open).await.assert_problem(404, "run_unknown");
    api.stop().await;
}

#[tokio::test]
async fn a_lease_is_given_back_once_under_a_key_and_a_later_attempt_is_left_alone() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("a").await;
    let (_, attempt) = api.claim_one(&agent).await;
    let release = async || {
        let body = json!({ "attempt": attempt });
        api.keyed("k", Method::POST, &format!("/api/v1/tasks/{id}/release"), &body).await.status.as_u16()
    };
    assert_eq!(release().await, 204);
    api.claim_one(&agent).await;
    assert_eq!(release().await, 204);
    assert_eq!(api.task(&id).await["status"], "running");
    api.stop().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_wherever_keys_are_taken() {
    let api = Api::start().await;
    let long = "k".repeat(256);
    for path in ["/api/v1/tasks/cancel", "/api/v1/pools", "/api/v1/agents"] {
        api.keyed(&long, Method::POST, path, &json!({})).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_request_whose_outcome_is_not_known_is_told_how_its_route_is_asked_again() {
    let mut hurried = options();
    // Whatever has to be agreed takes longer than no time at all.
    hurried.api.timeout = Duration::ZERO;
    let api = Api::with(hurried).await;
    let task = api.node.new_task_id();
    let purge = format!("/api/v1/dead-letters/{task}");
    for (method, path, words) in [
        (Method::DELETE, purge.as_str(), "same Idempotency-Key"),
        (Method::POST, "/api/v1/cluster/keyring", "look whether it was done"),
    ] {
        // A quick machine may be quicker than the timer.
        let answer = loop {
            let answer = send(api.call(method.clone(), path)).await;
            if answer.status == 503 {
                break answer;
            }
        };
        answer.assert_problem(503, "timed_out");
        let hint = answer.json()["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains(words), "{path}: {hint}");
    }
    api.stop().await;
}
