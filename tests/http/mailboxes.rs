//! Mailboxes over the API: what waits, and what is paused.

use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn mailbox_shows_what_waits_in_its_lanes() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    api.post("/api/v1/pools", &json!({ "name": "a/b", "runtime": "external" })).await;
    api.submit(&json!({ "type": "a", "pool": "a/b", "priority": "high" })).await;
    api.submit(&json!({ "type": "a", "pool": "a/b" })).await;
    api.submit(&json!({ "type": "a", "agent": "worker", "priority": "urgent" })).await;
    for name in ["pool/a/b", "pool%2Fa%2Fb"] {
        let mailbox = api.get(&format!("/api/v1/mailboxes/{name}")).await.json();
        assert_eq!((&mailbox["name"], &mailbox["waiting"]), (&json!("pool/a/b"), &json!(2)));
        assert_eq!(mailbox["lanes"], json!({ "critical": 0, "high": 1, "normal": 1, "low": 0 }));
        assert!(mailbox["oldest_since"].is_string() && mailbox.get("paused").is_none(), "{mailbox:#}");
    }
    let all = api.walk("/api/v1/mailboxes?limit=1", "name").await;
    assert_eq!(all, [format!("agent/{agent}"), "pool/a/b".to_owned()]);
    let open = api.get("/api/v1/mailboxes/open").await.json();
    assert_eq!((&open["name"], &open["waiting"]), (&json!("open"), &json!(0)));
    api.get("/api/v1/mailboxes/pool/nowhere").await.assert_problem(404, "mailbox_unknown");
    api.get("/api/v1/mailboxes/closed").await.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn paused_work_is_not_given_out_until_it_is_resumed() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    for of in [json!({ "mailbox": "open" }), json!({ "workspace": "default" })] {
        let id = api.submit_any("a").await;
        let mut reasoned = of.clone();
        reasoned["reason"] = json!("moving house");
        let pause = api.post("/api/v1/mailboxes/pause", &reasoned).await;
        assert_eq!((pause.status.as_u16(), &pause.json()["reason"]), (200, &json!("moving house")));
        assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
        let why = api.get(&format!("/api/v1/tasks/{id}/why")).await.json();
        assert_eq!((&why["cause"], &why["detail"]["reason"]), (&json!("paused"), &json!("moving house")));
        let pauses = api.get("/api/v1/mailboxes/pauses").await.json();
        assert_eq!(pauses["items"].as_array().unwrap().len(), 1, "{pauses:#}");
        let claim = json!({ "agent_id": agent, "wait_ms": 60_000 });
        let (claimed, resumed) = tokio::join!(api.post("/api/v1/tasks/claim", &claim), async {
            api.claims_in_line(1).await;
            api.post("/api/v1/mailboxes/resume", &of).await
        });
        assert_eq!((resumed.status.as_u16(), resumed.body.as_str()), (204, ""));
        assert_eq!(claimed.json()["tasks"][0]["task"]["id"], json!(id), "who waits is woken by the resume");
        assert_eq!(api.post("/api/v1/mailboxes/resume", &of).await.status.as_u16(), 204, "again is no error");
    }
    assert_eq!(api.get("/api/v1/mailboxes/pauses").await.json(), json!({ "items": [] }));
    api.stop().await;
}

#[tokio::test]
async fn pause_names_exactly_one_thing_that_exists() {
    let api = Api::start().await;
    let pause = async |body: Value| api.post("/api/v1/mailboxes/pause", &body).await;
    pause(json!({})).await.assert_problem(400, "invalid");
    pause(json!({ "pool": "a", "workspace": "b" })).await.assert_problem(400, "invalid");
    pause(json!({ "mailbox": "closed" })).await.assert_problem(400, "invalid");
    pause(json!({ "pool": "nowhere" })).await.assert_problem(404, "pool_unknown");
    api.stop().await;
}
