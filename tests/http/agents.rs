//! Agents over the API: registering, heartbeats, and the end of their service.

use reqwest::Method;
use serde_json::{Value, json};
use synod::node::domain::permission::Permissions;

use crate::support::{Api, send};

#[tokio::test]
async fn external_agent_that_registers_again_is_changed_and_keeps_its_id() {
    let api = Api::start().await;
    let first = api.post("/api/v1/agents", &json!({ "name": "worker", "capabilities": ["rust"] })).await;
    assert_eq!(first.status.as_u16(), 201);
    let agent = first.json();
    let expected = json!({
        "name": "worker", "status": "READY", "host": "external", "capabilities": ["rust"], "concurrency": 1,
        "held": [], "completed": 0, "failed": 0, "restarts": 0, "labels": {},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&agent[field], value, "{field}");
    }
    let body = json!({
        "name": "worker", "capabilities": ["python@3"], "labels": { "zone": "a" }, "metadata": { "pid": 7 },
        "region": "eu", "concurrency": 3, "heartbeat_timeout_ms": 60_000,
    });
    let again = api.post("/api/v1/agents", &body).await;
    assert_eq!(again.status.as_u16(), 200);
    let changed = again.json();
    assert_eq!(changed["id"], agent["id"]);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    for name in ["worker", agent["id"].as_str().unwrap()] {
        assert_eq!(api.get(&format!("/api/v1/agents/{name}")).await.json()["id"], agent["id"]);
    }
    api.stop().await;
}

#[tokio::test]
async fn what_a_register_says_wrong_is_named() {
    let api = Api::start().await;
    let hosted = json!({ "command": ["/bin/true"] });
    for (body, named) in [
        (json!({}), "name"),
        (json!({ "name": "a", "colour": "red" }), "colour"),
        (json!({ "name": "a", "concurrency": 0 }), "concurrency"),
        (json!({ "name": "a", "heartbeat_timeout_ms": 0 }), "heartbeat_timeout"),
        (json!({ "name": "a", "capabilities": ["x@1", "x@2"] }), "capabilities"),
        (json!({ "name": "a", "hosted": hosted, "region": "eu" }), "region"),
        (json!({ "name": "a", "hosted": { "command": ["/no/such/program"] } }), "runtime"),
        (json!({ "name": "a", "hosted": { "command": [] } }), "command"),
    ] {
        let refused = api.post("/api/v1/agents", &body).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.json()["detail"].as_str().unwrap().contains(named), "{named}: {refused:#?}");
    }
    let refused = api.post("/api/v1/agents", &json!({ "name": "a", "pool": "nowhere" })).await;
    refused.assert_problem(404, "pool_unknown");
    api.get("/api/v1/agents/nobody").await.assert_problem(404, "agent_unknown");
    api.stop().await;
}

#[tokio::test]
async fn hosted_agent_gets_a_pool_of_its_own_and_works() {
    let api = Api::start().await;
    let hosted = json!({ "command": ["/bin/sh", "-c", "cat >/dev/null; echo '{\"by\":\"hosted\"}'"], "env": { "KEY": "secret" } });
    let made = api
        .post("/api/v1/agents", &json!({ "name": "echo", "hosted": hosted, "capabilities": ["echo"] }))
        .await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let agent = made.json();
    assert_eq!((&agent["pool"], &agent["host"]), (&json!("echo"), &json!(api.node.id().to_string())));
    let pool = api.get("/api/v1/pools/echo").await.json();
    assert_eq!((&pool["min"], &pool["max"], &pool["agents"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(pool["runtime"]["process"]["env"], json!({ "KEY": "(hidden)" }), "{pool:#}");
    let id = api.submit(&json!({ "type": "a", "pool": "echo" })).await;
    let ended = api.get(&format!("/api/v1/tasks/{id}/wait?timeout_ms=60000")).await.json();
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("completed"), &json!({ "by": "hosted" })),
        "{ended:#}"
    );
    let id = agent["id"].as_str().unwrap();
    let restarted = api.post(&format!("/api/v1/agents/{id}/restart"), &json!({})).await;
    assert_eq!((restarted.status.as_u16(), &restarted.json()["id"]), (200, &json!(id)), "{restarted:#?}");
    api.stop().await;
}

#[tokio::test]
async fn removed_agent_finishes_what_it_has_first_and_by_force_it_does_not() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("a").await;
    api.claim_one(&agent).await;
    let leaving = api.delete("/api/v1/agents/worker").await;
    assert_eq!((leaving.status.as_u16(), &leaving.json()["status"]), (202, &json!("DRAINING")));
    let done = api.post(&format!("/api/v1/tasks/{id}/complete"), &json!({ "attempt": 1 })).await;
    assert_eq!(done.json()["status"], "completed", "what it has it may end");
    api.get("/api/v1/agents/worker").await.assert_problem(404, "agent_unknown");
    let agent = api.agent("other", &[]).await;
    let id = api.submit_any("b").await;
    api.claim_one(&agent).await;
    let gone = api.delete("/api/v1/agents/other?force=true").await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    assert_eq!(api.task(&id).await["status"], "pending", "its work is for others");
    api.delete("/api/v1/agents/other").await.assert_problem(404, "agent_unknown");
    api.stop().await;
}

#[tokio::test]
async fn heartbeat_tells_how_the_agent_stands_and_a_drained_one_stays_so_until_it_registers_again() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let heartbeat = async || api.post("/api/v1/agents/worker/heartbeat", &json!({})).await;
    assert_eq!(heartbeat().await.json()["status"], "READY");
    api.post("/api/v1/agents/worker/drain", &json!({})).await;
    assert_eq!(heartbeat().await.json()["status"], "DRAINING");
    let elsewhere = api.post("/api/v1/agents/worker/restart", &json!({})).await;
    elsewhere.assert_problem(400, "invalid");
    assert!(elsewhere.json()["detail"].as_str().unwrap().contains("it runs elsewhere"), "{elsewhere:?}");
    let again = api.post("/api/v1/agents", &json!({ "name": "worker" })).await.json();
    assert_eq!((&again["status"], &again["id"]), (&json!("READY"), &json!(agent)));
    api.post("/api/v1/agents/nobody/heartbeat", &json!({})).await.assert_problem(404, "agent_unknown");
    api.stop().await;
}

#[tokio::test]
async fn list_of_agents_is_filtered_and_walked_page_by_page() {
    let api = Api::start().await;
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(
            api.agent(&format!("agent-{number}"), if number < 2 { &["rust@1.95"] } else { &["python"] })
                .await,
        );
    }
    api.post("/api/v1/agents/agent-4/drain", &json!({})).await;
    assert_eq!(api.walk("/api/v1/agents?limit=2", "id").await, all);
    let named = async |query: &str| api.walk(&format!("/api/v1/agents?{query}"), "name").await;
    assert_eq!(named("capability=rust").await, ["agent-0", "agent-1"]);
    assert_eq!(named("status=draining").await, ["agent-4"]);
    assert_eq!(named("available=true&capability=python").await, ["agent-2", "agent-3"]);
    assert_eq!(named("pool=nowhere").await, Vec::<String>::new());
    for wrong in ["status=ASLEEP", "available=maybe", "cursor=x", "name=a"] {
        api.get(&format!("/api/v1/agents?{wrong}")).await.assert_problem(400, "invalid");
    }
    let one: Value = api.get("/api/v1/agents?limit=1").await.json();
    assert_eq!(one["next_cursor"], json!(all[0]));
    api.stop().await;
}

#[tokio::test]
async fn agent_that_the_node_runs_takes_the_right_to_make_pools() {
    let api = Api::start().await;
    let (_, worker) = api.token(Permissions::of_worker(), None).await;
    let register = async |body: Value| {
        send(api.bare(Method::POST, "/api/v1/agents").bearer_auth(&worker).json(&body)).await
    };
    // Whoever may run a program as the node's user may read what the node may, the operator's token among it.
    let hosted = json!({ "command": ["/bin/true"] });
    let refused = register(json!({ "name": "thief", "hosted": hosted })).await;
    refused.assert_problem(403, "not_allowed");
    assert!(refused.json()["detail"].as_str().unwrap().contains("pools:write"), "{refused:?}");
    assert!(api.get("/api/v1/pools").await.json()["items"].as_array().unwrap().is_empty());
    assert_eq!(register(json!({ "name": "worker" })).await.status.as_u16(), 201);
    api.stop().await;
}
