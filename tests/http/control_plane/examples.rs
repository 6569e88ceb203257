//! The example programs of that API's manual, over plain HTTP, each request as it stands there.

use reqwest::Method;
use serde_json::json;

use super::Plane;

#[tokio::test]
async fn register_submit_and_get_status_print_something_sensible() {
    for prefix in ["/api/control-plane", "/api/v1/control-plane"] {
        let plane = Plane { prefix, ..Plane::start().await };
        let agent = json!({
            "agent_id": "claude-1", "capabilities": ["reasoning", "code_review", "synthesis"], "region": "us-east-1"
        });
        let agent = plane.expect(201, Method::POST, "/agents", Some(agent)).await;
        assert_eq!((&agent["agent_id"], &agent["status"]), (&json!("claude-1"), &json!("ready")));
        assert_eq!(agent["region_id"], "us-east-1");
        let id = plane
            .task(json!({
                "task_type": "deliberation", "payload": {"topic": "API design review"},
                "required_capabilities": ["reasoning", "code_review"]
            }))
            .await;
        assert_eq!(plane.get(&format!("/tasks/{id}")).await["status"], "pending");
        let claim =
            json!({"agent_id": "claude-1", "capabilities": ["reasoning", "code_review", "synthesis"]});
        let claimed = plane.post("/tasks/claim", claim).await["task"].clone();
        assert_eq!((&claimed["id"], &claimed["payload"]["topic"]), (&json!(id), &json!("API design review")));
        plane.bare("/agents/claude-1/heartbeat").await;
        let said = json!({"agent_id": "claude-1", "result": {"decision": "approve"}});
        plane.post(&format!("/tasks/{id}/complete"), said).await;
        let task = plane.get(&format!("/tasks/{id}")).await;
        assert_eq!((&task["status"], &task["result"]["decision"]), (&json!("completed"), &json!("approve")));
        plane.api.stop().await;
    }
}

#[tokio::test]
async fn every_endpoint_of_that_manual_is_served() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let tasks = [plane.task(json!({"task_type": "t"})).await, plane.task(json!({"task_type": "t"})).await];
    for path in ["/agents", "/agents/a", "/queue", "/health", "/health/a", "/stats", "/metrics"] {
        plane.get(path).await;
    }
    plane.bare("/agents/a/heartbeat").await;
    let first = plane.claim("a").await;
    assert_eq!(first["id"], json!(tasks[0]));
    plane.bare(&format!("/tasks/{}/complete", tasks[0])).await;
    plane.claim("a").await;
    plane.bare(&format!("/tasks/{}/fail", tasks[1])).await;
    plane.bare(&format!("/tasks/{}/cancel", tasks[1])).await;
    plane.get("/deliberations/d-1/status").await;
    plane.expect(404, Method::GET, "/deliberations/d-1", None).await;
    plane.expect(501, Method::POST, "/deliberations", Some(json!({"content": "c"}))).await;
    plane.expect(200, Method::DELETE, "/agents/a", None).await;
    plane.api.stop().await;
}
