//! Weights and quotas of workspaces over the API.

use serde_json::{Value, json};

use crate::support::Api;

async fn quota(api: &Api, quota: Value) {
    let put = api.put("/api/v1/workspaces/search", &json!({ "quota": quota })).await;
    assert_eq!(put.json()["quota"], quota, "{put:#?}");
}

async fn submit(api: &Api) -> crate::support::Answer {
    api.post(
        "/api/v1/tasks",
        &json!({ "type": "find", "workspace": "search", "payload": { "words": "some" } }),
    )
    .await
}

#[tokio::test]
async fn a_quota_refuses_what_is_beyond_it_and_says_which_it_was() {
    let api = Api::start().await;
    quota(&api, json!({ "waiting": 1 })).await;
    assert_eq!(submit(&api).await.status.as_u16(), 201);
    let full = submit(&api).await;
    full.assert_problem(429, "full");
    assert!(full.body.contains("quota of waiting tasks of workspace search"), "{}", full.body);
    quota(&api, json!({ "storage_bytes": 4 })).await;
    let full = submit(&api).await;
    assert!(full.body.contains("quota of bytes of payload"), "{}", full.body);
    api.submit_any("work").await;
    let refused =
        api.put("/api/v1/workspaces/search", &json!({ "quota": { "submits_per_second": 0 } })).await;
    refused.assert_problem(400, "invalid");
    api.put("/api/v1/workspaces/search", &json!({ "weight": 0 })).await.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn work_beyond_the_concurrency_of_a_workspace_waits_with_a_reason_and_goes_on() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    quota(&api, json!({ "concurrency": 1 })).await;
    let weighed = api.put("/api/v1/workspaces/search", &json!({ "weight": 3 })).await.json();
    assert_eq!((&weighed["weight"], &weighed["quota"]), (&json!(3), &json!({ "concurrency": 1 })));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(submit(&api).await.json()["task_id"].as_str().unwrap().to_owned());
    }
    let (first, attempt) = api.claim_one(&agent).await;
    assert_eq!(first, tasks[0]);
    assert_eq!(api.claim(&agent, 9).await, Vec::<Value>::new());
    let why = api.get(&format!("/api/v1/tasks/{}/why", tasks[1])).await.json();
    assert_eq!(why["cause"], "held_back");
    assert!(why["sentence"].as_str().unwrap().contains("quota of workspace search"), "{why}");
    let shown = api.get("/api/v1/workspaces/search").await.json();
    let uses = json!({ "agents": 0, "waiting": 2, "concurrency": 1, "held_back": 2, "storage_bytes": shown["uses"]["storage_bytes"] });
    assert_eq!(shown["uses"], uses);
    let done = json!({ "attempt": attempt });
    api.post(&format!("/api/v1/tasks/{first}/complete"), &done).await;
    assert_eq!(api.claim_one(&agent).await.0, tasks[1]);
    assert_eq!(api.walk("/api/v1/workspaces", "name").await, ["default", "search"]);
    api.stop().await;
}
