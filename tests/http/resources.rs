//! Resources over the API, and tasks that come after others.

use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn a_resource_is_made_used_returned_and_removed() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let made = api.put("/api/v1/resources/gpu", &json!({ "capacity": 2, "about": "cards" })).await;
    assert_eq!((made.status.as_u16(), &made.json()["capacity"]), (201, &json!(2)));
    api.put("/api/v1/resources/browser", &json!({ "capacity": 1 })).await;
    let first = api.submit(&json!({ "type": "train", "resources": { "gpu": 2 } })).await;
    let second = api.submit(&json!({ "type": "train", "resources": { "gpu": 1, "browser": 1 } })).await;
    let leases = api.claim(&agent, 10).await;
    assert_eq!(leases.iter().map(|lease| &lease["task"]["id"]).collect::<Vec<_>>(), [&json!(first)]);

    let gpu = api.get("/api/v1/resources/gpu").await.json();
    assert_eq!((&gpu["in_use"], &gpu["waiting"], &gpu["about"]), (&json!(2), &json!(1), &json!("cards")));
    assert_eq!(gpu["holders"], json!([{ "task_id": first, "amount": 2 }]));
    assert_eq!(gpu["line"], json!([{ "task_id": second, "amount": 1 }]));
    let why = api.get(&format!("/api/v1/tasks/{second}/why")).await.json();
    assert_eq!((&why["cause"], &why["detail"]["on"]), (&json!("held_back"), &json!("resource gpu")));
    assert_eq!(api.walk("/api/v1/resources?limit=1", "name").await, ["browser", "gpu"]);
    api.delete("/api/v1/resources/gpu").await.assert_problem(409, "resource_in_use");

    let changed = api.put("/api/v1/resources/gpu", &json!({ "capacity": 3, "about": "cards" })).await;
    assert_eq!(changed.status.as_u16(), 200);
    assert_eq!(api.claim_one(&agent).await.0, second, "one more is enough for it");
    for task in [&first, &second] {
        let done = json!({ "attempt": 1, "result": null });
        assert_eq!(api.post(&format!("/api/v1/tasks/{task}/complete"), &done).await.status.as_u16(), 200);
    }
    assert_eq!(api.get("/api/v1/resources/gpu").await.json()["in_use"], 0);
    assert_eq!(api.delete("/api/v1/resources/gpu").await.status.as_u16(), 204);
    api.get("/api/v1/resources/gpu").await.assert_problem(404, "resource_unknown");
    api.delete("/api/v1/resources/gpu").await.assert_problem(404, "resource_unknown");
    api.stop().await;
}

#[tokio::test]
async fn a_need_that_cannot_be_is_refused_and_says_why() {
    let api = Api::start().await;
    api.put("/api/v1/resources/gpu", &json!({ "capacity": 2 })).await;
    let submit = async |task: Value| api.post("/api/v1/tasks", &task).await;
    let unknown = submit(json!({ "type": "a", "resources": { "moon": 1 } })).await;
    unknown.assert_problem(404, "resource_unknown");
    let much = submit(json!({ "type": "a", "resources": { "gpu": 3 } })).await;
    much.assert_problem(400, "invalid");
    assert!(much.json()["detail"].as_str().unwrap().contains("there are 2"), "{much:#?}");
    submit(json!({ "type": "a", "resources_timeout_ms": 5 })).await.assert_problem(400, "invalid");
    let elsewhere = json!({ "type": "a", "resources": { "gpu": 1 }, "region": "eu", "routing": "any" });
    assert_eq!(submit(elsewhere).await.status.as_u16(), 201, "any region is this one");
    api.stop().await;
}

#[tokio::test]
async fn a_task_comes_after_those_that_it_names() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let first = api.submit_any("build").await;
    let second = api.submit(&json!({ "type": "test", "after": [first] })).await;
    let third = api.submit(&json!({ "type": "ship", "after": [first, second] })).await;
    let (claimed, attempt) = api.claim_one(&agent).await;
    assert_eq!(claimed, first);
    assert!(api.claim(&agent, 5).await.is_empty());
    let why = api.get(&format!("/api/v1/tasks/{third}/why")).await.json();
    assert_eq!((&why["cause"], &why["detail"]["on"]), (&json!("held_back"), &json!(first)));
    api.post(&format!("/api/v1/tasks/{first}/complete"), &json!({ "attempt": attempt, "result": 1 })).await;
    let (claimed, attempt) = api.claim_one(&agent).await;
    assert_eq!(claimed, second);
    let failed = json!({ "attempt": attempt, "reason": "two tests fail", "retryable": false });
    api.post(&format!("/api/v1/tasks/{second}/fail"), &failed).await;
    let third = api.task(&third).await;
    assert_eq!(third["status"], "failed");
    assert!(third["reason"].as_str().unwrap().ends_with("which failed: two tests fail"), "{third:#}");

    let unknown = api.node.new_task_id().to_string();
    let refused = api.post("/api/v1/tasks", &json!({ "type": "a", "after": [unknown] })).await;
    refused.assert_problem(400, "prerequisite_unknown");
    let wrong = api.post("/api/v1/tasks", &json!({ "type": "a", "after": ["yesterday"] })).await;
    wrong.assert_problem(400, "invalid");
    api.stop().await;
}
