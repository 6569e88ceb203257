//! Limit sets over the API: made, changed live, and what their keys use.

use serde_json::{Value, json};

use crate::support::Api;

async fn keys(api: &Api) -> Vec<Value> {
    let page = api.get("/api/v1/limits/repos/keys").await.json();
    page["items"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_key_that_is_used_up_holds_its_tasks_back_and_raising_it_wakes_who_waits() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let put = |concurrency: u32| json!({ "key": "{workspace}/{payload:/repo}", "types": ["a"], "concurrency": concurrency });
    let made = api.put("/api/v1/limits/repos", &put(1)).await;
    assert_eq!((made.status.as_u16(), &made.json()["concurrency"]), (201, &json!(1)));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(api.submit(&json!({ "type": "a", "payload": { "repo": "synod" } })).await);
    }
    let (first, attempt) = api.claim_one(&agent).await;
    assert_eq!(first, tasks[0]);
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    let shown = keys(&api).await;
    assert_eq!(
        (&shown[0]["key"], &shown[0]["running"], &shown[0]["waiting"]),
        (&json!("default/synod"), &json!(1), &json!(2))
    );
    let why = api.get(&format!("/api/v1/tasks/{}/why", tasks[1])).await.json();
    assert_eq!(why["cause"], "held_back", "{why:#}");
    assert!(why["sentence"].as_str().is_some_and(|said| said.contains("1 of 1 run")), "{why:#}");
    let claim = json!({ "agent_id": agent, "wait_ms": 60_000 });
    let (claimed, raised) = tokio::join!(api.post("/api/v1/tasks/claim", &claim), async {
        api.claims_in_line(1).await;
        api.put("/api/v1/limits/repos", &put(2)).await
    });
    assert_eq!(raised.status.as_u16(), 200, "{raised:?}");
    assert_eq!(claimed.json()["tasks"][0]["task"]["id"], json!(tasks[1]));
    // The end of a task wakes the next.
    let body = json!({ "attempt": attempt });
    let (claimed, _) = tokio::join!(api.post("/api/v1/tasks/claim", &claim), async {
        api.claims_in_line(1).await;
        api.post(&format!("/api/v1/tasks/{first}/complete"), &body).await
    });
    assert_eq!(claimed.json()["tasks"][0]["task"]["id"], json!(tasks[2]));
    api.stop().await;
}

#[tokio::test]
async fn a_rate_opens_when_its_time_has_come() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let rate =
        json!({ "key": "type", "rate": { "count": 1, "window_ms": 1_500 }, "tokens_per_minute": 1000 });
    api.put("/api/v1/limits/repos", &rate).await;
    for _ in 0..2 {
        api.submit_any("a").await;
    }
    api.claim_one(&agent).await;
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    let shown = keys(&api).await;
    assert_eq!((&shown[0]["began"], &shown[0]["waiting"]), (&json!(1), &json!(1)));
    assert!(shown[0]["opens_at"].is_string(), "{shown:#?}");
    let set = api.get("/api/v1/limits/repos").await.json();
    assert_eq!((&set["rate"]["window_ms"], &set["tokens_per_minute"]), (&json!(1_500), &json!(1000)));
    // Who waits is given it when there is room.
    let claimed =
        api.post("/api/v1/tasks/claim", &json!({ "agent_id": agent, "wait_ms": 60_000 })).await.json();
    assert_eq!(claimed["tasks"].as_array().map(Vec::len), Some(1), "{claimed:#}");
    api.stop().await;
}

#[tokio::test]
async fn limit_sets_that_make_no_sense_or_do_not_exist_are_refused() {
    let api = Api::start().await;
    for wrong in [
        json!({ "key": "workspace" }),
        json!({ "key": "tenant", "concurrency": 1 }),
        json!({ "key": "workspace", "concurrency": 0 }),
        json!({ "key": "workspace", "rate": { "count": 1, "window_ms": 0 } }),
        json!({ "key": "workspace", "concurrency": 1, "colour": "red" }),
    ] {
        api.put("/api/v1/limits/repos", &wrong).await.assert_problem(400, "invalid");
    }
    api.get("/api/v1/limits/repos").await.assert_problem(404, "limit_unknown");
    api.get("/api/v1/limits/repos/keys").await.assert_problem(404, "limit_unknown");
    for name in ["a", "b"] {
        api.put(&format!("/api/v1/limits/{name}"), &json!({ "key": "workspace", "concurrency": 1 })).await;
    }
    assert_eq!(api.walk("/api/v1/limits?limit=1", "name").await, ["a", "b"]);
    for _ in 0..2 {
        assert_eq!(api.delete("/api/v1/limits/a").await.status.as_u16(), 204);
    }
    api.stop().await;
}
