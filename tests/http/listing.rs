//! Lists of tasks: each task once, whatever moves meanwhile, and only those that are meant.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use synod_cluster::checkpointer::Policy;

use crate::support::{Api, PATIENCE, options};

#[tokio::test]
async fn pages_hold_each_task_exactly_once_while_tasks_move_to_history() {
    let policy = Policy { checkpoint_interval: Duration::from_millis(1), ..Policy::default() };
    let api = Api::built(options(), synod::http::routes(), |node| node.policy(policy)).await;
    let agent = api.agent("worker", &[]).await;
    let batch: Vec<Value> = (0..300).map(|_| json!({ "type": "a" })).collect();
    let answers = api.post("/api/v1/tasks", &json!(batch)).await.json();
    let all: BTreeSet<String> =
        answers.as_array().unwrap().iter().map(|one| one["task_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.len(), 300);
    let finish = async {
        loop {
            let leases = api.claim(&agent, 7).await;
            if leases.is_empty() {
                return;
            }
            let items: Vec<Value> = leases
                .iter()
                .map(|lease| json!({ "task_id": lease["task"]["id"], "attempt": lease["attempt"] }))
                .collect();
            api.post("/api/v1/tasks/complete", &json!({ "items": items })).await;
        }
    };
    let walks = async {
        let mut walks = 0;
        loop {
            let walked = api.walk("/api/v1/tasks?limit=13", "id").await;
            let latest_first: Vec<String> = all.iter().rev().cloned().collect();
            assert_eq!(walked, latest_first, "walk {walks}");
            walks += 1;
            let pending = api.get("/api/v1/tasks?limit=1&status=pending").await.json();
            if pending == json!({ "items": [] }) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(finish, walks) }).await.expect("both end");
    // From history alone.
    let moved = async {
        while api.node.read(|state| state.recently_ended().next().is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("all are in history");
    assert_eq!(api.walk("/api/v1/tasks?limit=100&status=completed", "id").await.len(), 300);
    api.stop().await;
}

#[tokio::test]
async fn pages_of_large_tasks_end_early_and_go_on_without_leaving_any_out() {
    let api = Api::start().await;
    let labels: serde_json::Map<String, Value> =
        (0..64).map(|number| (format!("label-{number}"), json!("x".repeat(4000)))).collect();
    for _ in 0..25 {
        api.submit(&json!({ "type": "a", "labels": labels })).await;
    }
    let first = api.get("/api/v1/tasks?limit=100").await;
    assert!(first.body.len() < 5 * 1024 * 1024, "{} bytes", first.body.len());
    assert!(first.json()["next_cursor"].is_string());
    assert_eq!(api.walk("/api/v1/tasks?limit=100", "id").await.len(), 25);
    let all = json!({ "filter": {}, "all": true, "reason": "over" });
    api.post("/api/v1/tasks/cancel", &all).await;
    assert_eq!(api.walk("/api/v1/tasks?limit=100", "id").await.len(), 25, "ended ones too");
    api.stop().await;
}

#[tokio::test]
async fn list_holds_what_the_filter_means() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    api.post("/api/v1/pools", &json!({ "name": "p", "runtime": "external" })).await;
    let pooled =
        api.submit(&json!({ "type": "a", "pool": "p", "labels": { "team": "x", "tier": "1" } })).await;
    let own = api
        .submit(&json!({ "type": "b", "agent": "worker", "workspace": "w", "priority": "critical" }))
        .await;
    let open = api.submit(&json!({ "type": "c", "labels": { "team": "x" } })).await;
    let (held, _) = api.claim_one(&agent).await;
    assert_eq!(held, own);
    let (held, _) = api.claim_one(&agent).await;
    assert_eq!(held, open);
    api.post(&format!("/api/v1/tasks/{open}/complete"), &json!({ "attempt": 1 })).await;
    let submitted = api.task(&own).await["submitted_at"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("", vec![&open, &own, &pooled]),
        ("status=pending", vec![&pooled]),
        ("status=running,completed", vec![&open, &own]),
        ("type=b", vec![&own]),
        ("pool=p", vec![&pooled]),
        ("agent=worker", vec![&open, &own]),
        ("agent=nobody", vec![]),
        ("workspace=w", vec![&own]),
        ("priority=critical", vec![&own]),
        ("priority=urgent", vec![&own]),
        ("label=team%3Dx", vec![&open, &pooled]),
        ("label=team=x,tier=1", vec![&pooled]),
        ("submitted_before=1971-01-01T00:00:00Z", vec![]),
        ("submitted_after=2999-01-01T00:00:00Z", vec![]),
        ("run=run_00000000000000000000000001", vec![]),
        ("type=a&workspace=w", vec![]),
    ] {
        let found = api.walk(&format!("/api/v1/tasks?{query}"), "id").await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let since = api.walk(&format!("/api/v1/tasks?submitted_after={submitted}&type=b"), "id").await;
    assert_eq!(since, [own]);
    for wrong in [
        "label=team",
        "submitted_after=yesterday",
        "run=x",
        "priority=vital",
        "limit=1001",
        "limit=0",
        "type=a&type=b",
    ] {
        api.get(&format!("/api/v1/tasks?{wrong}")).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn figures_health_and_node_agree_with_what_was_done() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    api.dead_letter(&agent, "a").await;
    api.submit_any("b").await;
    api.claim_one(&agent).await;
    api.submit(&json!({ "type": "c", "priority": "low" })).await;
    let stats = api.get("/api/v1/stats").await.json();
    for (field, value) in [
        ("unfinished", 2),
        ("waiting", 1),
        ("leased", 1),
        ("backing_off", 0),
        ("dead_letters", 1),
        ("agents", 1),
        ("agents_serving", 1),
        ("agents_busy", 1),
        ("submitted", 3),
        ("failed", 1),
        ("failed_today", 1),
        ("completed", 0),
    ] {
        assert_eq!(stats[field], value, "{field}: {stats:#}");
    }
    assert_eq!(stats["lanes"]["low"], 1);
    let node = api.get("/api/v1/nodes").await.json()["items"][0].clone();
    assert_eq!((&node["id"], &node["leader"]), (&json!(api.node.id().to_string()), &json!(true)));
    let one = api.get(&format!("/api/v1/nodes/{}", api.node.id())).await.json();
    assert_eq!(one["id"], node["id"]);
    api.get("/api/v1/nodes/node_00000000000000000000000001").await.assert_problem(404, "node_unknown");
    let health = api.get("/api/v1/health").await.json();
    assert_eq!(health["status"], "healthy", "{health:#}");
    api.stop().await;
}
