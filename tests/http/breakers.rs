//! Circuit breakers over the API: made, opened by failures, shown, reset.

use serde_json::{Value, json};

use crate::support::Api;

/// Claims a task and lets it fail for good.
async fn fail_one(api: &Api, agent: &str, kind: &str) {
    api.submit_any(kind).await;
    let (task, attempt) = api.claim_one(agent).await;
    let body = json!({ "attempt": attempt, "reason": "no route to host", "retryable": false });
    let answer = api.post(&format!("/api/v1/tasks/{task}/fail"), &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

async fn breaker(api: &Api, of: &str) -> Value {
    api.get(&format!("/api/v1/breakers/{of}")).await.json()
}

#[tokio::test]
async fn failures_in_a_row_open_the_breaker_of_a_type_and_a_reset_wakes_who_waits() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let made = api.put("/api/v1/breakers/type/a", &json!({ "failures": 2, "rate_percent": 0 })).await;
    assert_eq!((made.status.as_u16(), &made.json()["state"]), (200, &json!("closed")));
    for _ in 0..2 {
        fail_one(&api, &agent, "a").await;
    }
    let open = breaker(&api, "type%2Fa").await;
    assert_eq!((&open["state"], &open["failed"]), (&json!("open"), &json!(2)), "{open:#}");
    assert_eq!(open["reason"], "2 failures in a row, the last: no route to host");
    assert!(open["until"].is_string() && open["settings"]["open_for_ms"] == 30_000, "{open:#}");
    let older = api.get("/api/control-plane/breakers").await.json();
    assert_eq!(older["breakers"][0]["name"], "type/a", "{older:#}");
    assert_eq!(
        (&older["breakers"][0]["state"], &older["breakers"][0]["failure_count"]),
        (&json!("open"), &json!(2))
    );
    let held_back = api.submit_any("a").await;
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    assert_eq!(breaker(&api, "type/a").await["waiting"], 1);
    let why = api.get(&format!("/api/v1/tasks/{held_back}/why")).await.json();
    assert_eq!(why["cause"], "held_back", "{why:#}");
    assert!(
        why["sentence"].as_str().is_some_and(|said| said.contains("synod breaker reset type/a")),
        "{why:#}"
    );
    let claim = json!({ "agent_id": agent, "wait_ms": 60_000 });
    let (claimed, reset) = tokio::join!(api.post("/api/v1/tasks/claim", &claim), async {
        api.claims_in_line(1).await;
        api.post("/api/v1/breakers/reset", &json!({ "of": "type/a" })).await
    });
    assert_eq!((reset.status.as_u16(), &reset.json()["state"]), (200, &json!("closed")));
    assert_eq!(claimed.json()["tasks"][0]["task"]["id"], json!(held_back));
    api.stop().await;
}

#[tokio::test]
async fn a_pool_shows_its_breaker_and_its_agents_claim_nothing_while_it_is_open() {
    let api = Api::start().await;
    api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external" })).await;
    let registered = api.post("/api/v1/agents", &json!({ "name": "w", "pool": "p" })).await.json();
    let agent = registered["id"].as_str().unwrap().to_owned();
    api.post(&format!("/api/v1/agents/{agent}/heartbeat"), &json!({})).await;
    api.put("/api/v1/breakers/pool/p", &json!({})).await;
    assert_eq!(api.get("/api/v1/pools/p").await.json()["breaker"], "closed");
    let trip = json!({ "of": "pool/p", "reason": "the registry is being moved", "period_ms": 1_500 });
    let tripped = api.post("/api/v1/breakers/trip", &trip).await.json();
    assert_eq!(tripped["reason"], "tripped by hand: the registry is being moved", "{tripped:#}");
    let task = api.submit(&json!({ "type": "a", "pool": "p" })).await;
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    let shown = api.get("/api/v1/pools/p").await.json();
    assert_eq!((&shown["breaker"], &breaker(&api, "pool/p").await["waiting"]), (&json!("open"), &json!(1)));
    // When its time is over one probe goes, to who waits for it, and its success closes it.
    let claimed =
        api.post("/api/v1/tasks/claim", &json!({ "agent_id": agent, "wait_ms": 60_000 })).await.json();
    let leased = &claimed["tasks"][0];
    assert_eq!(leased["task"]["id"], json!(task), "{claimed:#}");
    let attempt = leased["attempt"].clone();
    assert_eq!(breaker(&api, "pool/p").await["probing"], 1);
    let done = api.post(&format!("/api/v1/tasks/{task}/complete"), &json!({ "attempt": attempt })).await;
    assert_eq!(done.status.as_u16(), 200, "{done:?}");
    assert_eq!(breaker(&api, "pool/p").await["state"], "closed");
    assert_eq!(api.walk("/api/v1/breakers?limit=1", "of").await, ["pool/p"]);
    api.stop().await;
}

#[tokio::test]
async fn breakers_that_make_no_sense_or_do_not_exist_are_refused() {
    let api = Api::start().await;
    api.put("/api/v1/breakers/type/a", &json!({ "failures": 0, "rate_percent": 0 }))
        .await
        .assert_problem(400, "invalid");
    api.put("/api/v1/breakers/type/a", &json!({ "window": 129 })).await.assert_problem(400, "invalid");
    api.put("/api/v1/breakers/mailbox/open", &json!({})).await.assert_problem(400, "invalid");
    api.put("/api/v1/breakers/type/a", &json!({ "colour": "red" })).await.assert_problem(400, "invalid");
    api.get("/api/v1/breakers/type/a").await.assert_problem(404, "breaker_unknown");
    api.post("/api/v1/breakers/reset", &json!({ "of": "type/a" }))
        .await
        .assert_problem(404, "breaker_unknown");
    api.post("/api/v1/breakers/trip", &json!({ "of": "type/a" }))
        .await
        .assert_problem(404, "breaker_unknown");
    api.put("/api/v1/breakers/type/a", &json!({})).await;
    for _ in 0..2 {
        assert_eq!(api.delete("/api/v1/breakers/type/a").await.status.as_u16(), 204);
    }
    api.stop().await;
}
