//! Bulk operations and dead letters.

use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn bulk_cancel_calls_off_what_the_filter_means_and_says_when_there_is_more() {
    let api = Api::start().await;
    let batch: Vec<Value> = (0..1000).map(|_| json!({ "type": "many" })).collect();
    api.post("/api/v1/tasks", &json!(batch)).await;
    for _ in 0..3 {
        api.submit_any("many").await;
    }
    let other = api.submit_any("other").await;
    let body = json!({ "filter": { "type": "many" }, "reason": "superseded" });
    let first = api.post("/api/v1/tasks/cancel", &body).await.json();
    assert_eq!(first, json!({ "matched": 1000, "done": 1000, "failures": [], "more": true }));
    let second = api.post("/api/v1/tasks/cancel", &body).await.json();
    assert_eq!(second, json!({ "matched": 3, "done": 3, "failures": [], "more": false }));
    assert_eq!(api.task(&other).await["status"], "pending");
    let line = api.get("/api/v1/tasks?type=many&limit=1").await.json()["items"][0].clone();
    assert_eq!((&line["status"], &line["reason"]), (&json!("cancelled"), &json!("superseded")));
    api.stop().await;
}

#[tokio::test]
async fn filter_that_means_everything_must_say_so() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let dead = api.dead_letter(&agent, "a").await;
    api.submit_any("b").await;
    for path in [
        "/api/v1/tasks/cancel",
        "/api/v1/tasks/retry",
        "/api/v1/dead-letters/redrive",
        "/api/v1/dead-letters/purge",
    ] {
        for body in [json!({}), json!({ "filter": {} }), json!({ "all": false })] {
            let refused = api.post(path, &body).await;
            refused.assert_problem(400, "invalid");
            assert!(refused.json()["detail"].as_str().unwrap().contains("\"all\": true"), "{refused:?}");
        }
        api.post(path, &json!({ "type": "a" })).await.assert_problem(400, "invalid");
        api.post(path, &json!({ "filter": { "status": "odd" } })).await.assert_problem(400, "invalid");
    }
    assert_eq!(
        api.get(&format!("/api/v1/dead-letters/{dead}")).await.status.as_u16(),
        200,
        "nothing was done"
    );
    let done = api.post("/api/v1/tasks/cancel", &json!({ "all": true })).await.json();
    assert_eq!((&done["done"], &done["more"]), (&json!(1), &json!(false)));
    api.stop().await;
}

#[tokio::test]
async fn dead_letters_are_listed_redriven_and_purged_one_by_one() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let mut letters = Vec::new();
    for kind in ["a", "b", "c"] {
        letters.push(api.dead_letter(&agent, kind).await);
    }
    letters.reverse();
    assert_eq!(api.walk("/api/v1/dead-letters?limit=2", "id").await, letters);
    assert_eq!(api.walk("/api/v1/dead-letters?type=b", "id").await, [letters[1].clone()]);
    let path = format!("/api/v1/dead-letters/{}", letters[0]);
    let letter = api.get(&path).await.json();
    assert_eq!((&letter["status"], &letter["reason"]), (&json!("failed"), &json!("it cannot be done")));
    let redriven = api.post(&format!("{path}/redrive"), &json!({})).await;
    assert_eq!(redriven.status.as_u16(), 201);
    let task = api.task(redriven.json()["task_id"].as_str().unwrap()).await;
    assert_eq!((&task["redriven_from"], &task["status"]), (&json!(letters[0]), &json!("pending")));
    api.get(&path).await.assert_problem(404, "task_unknown");
    api.post(&format!("{path}/redrive"), &json!({})).await.assert_problem(404, "task_unknown");
    let purged = api.delete(&format!("/api/v1/dead-letters/{}", letters[1])).await;
    assert_eq!((purged.status.as_u16(), purged.body.as_str()), (204, ""));
    assert_eq!(api.task(&letters[1]).await["status"], "failed", "its history stays");
    assert_eq!(api.walk("/api/v1/dead-letters", "id").await, [letters[2].clone()]);
    api.stop().await;
}

#[tokio::test]
async fn retry_and_purge_of_many_change_the_dead_letters_that_are_meant() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    for kind in ["a", "a", "b"] {
        api.dead_letter(&agent, kind).await;
    }
    let retried = api.post("/api/v1/tasks/retry", &json!({ "filter": { "type": "a" } })).await.json();
    assert_eq!(retried, json!({ "matched": 2, "done": 2, "failures": [], "more": false }));
    assert_eq!(api.walk("/api/v1/tasks?status=pending", "type").await, ["a", "a"]);
    let purged = api.post("/api/v1/dead-letters/purge", &json!({ "filter": { "type": "b" } })).await.json();
    assert_eq!(purged["done"], 1);
    assert_eq!(api.get("/api/v1/dead-letters").await.json(), json!({ "items": [] }));
    api.stop().await;
}
