//! The queue, health, counts and figures.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Plane, keys, words};

/// A plane with an agent that holds a task, one that is offline, a completed and a failed task, and one that waits.
async fn busy() -> (Plane, String) {
    let plane = Plane::start().await;
    let said = json!({"agent_id": "a", "capabilities": ["x"], "provider": "p"});
    plane.expect(201, Method::POST, "/agents", Some(said)).await;
    plane.agent("gone", &[]).await;
    plane.post("/agents/gone/heartbeat", json!({"status": "offline"})).await;
    for end in ["complete", "fail"] {
        let id = plane.task(json!({"task_type": "t"})).await;
        plane.claim("a").await;
        plane.post(&format!("/tasks/{id}/{end}"), json!({"requeue": false})).await;
    }
    let body = json!({"task_type": "t", "metadata": {"name": "Nightly", "document_count": 3}});
    let held = plane.task(body).await;
    plane.claim("a").await;
    plane.task(json!({"task_type": "u", "priority": "low"})).await;
    plane.task(json!({"task_type": "u", "priority": "high"})).await;
    (plane, held)
}

#[tokio::test]
async fn the_queue_shows_what_runs_first_and_then_what_waits_by_priority() {
    let (plane, held) = busy().await;
    let queue = plane.get("/queue").await;
    assert_eq!(keys(&queue), ["jobs", "total"]);
    assert_eq!(queue["total"], 3);
    let jobs = queue["jobs"].as_array().unwrap();
    let fields = "id type name status progress started_at created_at document_count agents_assigned priority";
    assert!(jobs.iter().all(|job| keys(job) == words(fields)));
    assert_eq!((&jobs[0]["id"], &jobs[0]["status"]), (&json!(held), &json!("running")));
    assert_eq!((&jobs[0]["name"], &jobs[0]["document_count"]), (&json!("Nightly"), &json!(3)));
    assert_eq!((&jobs[0]["agents_assigned"], &jobs[0]["progress"]), (&json!(["a"]), &json!(0.0)));
    assert!(jobs[0]["started_at"].is_string() && jobs[0]["created_at"].is_string());
    let rest: Vec<_> = jobs[1..].iter().map(|job| (&job["priority"], &job["started_at"])).collect();
    assert_eq!(rest, [(&json!("high"), &Value::Null), (&json!("low"), &Value::Null)]);
    assert_eq!(plane.get("/queue?limit=1").await["jobs"].as_array().unwrap().len(), 1);

    let metrics = plane.get("/queue/metrics").await;
    let fields = "pending running completed_today failed_today avg_wait_time_ms avg_execution_time_ms throughput_per_minute";
    assert_eq!(keys(&metrics), words(fields));
    assert_eq!((&metrics["pending"], &metrics["running"]), (&json!(2), &json!(1)));
    assert_eq!((&metrics["completed_today"], &metrics["failed_today"]), (&json!(1), &json!(1)));
    assert!(metrics["throughput_per_minute"].as_f64().unwrap() > 0.0);
    plane.api.stop().await;
}

#[tokio::test]
async fn health_is_that_of_the_worst_agent_and_tells_of_each() {
    let (plane, _) = busy().await;
    let health = plane.get("/health").await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(keys(&health["agents"]), ["a", "gone"]);
    assert_eq!(health["agents"]["a"]["status"], "healthy");
    let gone = plane.get("/health/gone").await;
    assert_eq!(keys(&gone), words("agent_id status latency_ms timestamp error metadata"));
    assert_eq!((&gone["agent_id"], &gone["status"]), (&json!("gone"), &json!("unhealthy")));
    assert_eq!(gone["error"], "its heartbeat said so");
    assert_eq!(health["agents"]["gone"]["error"], gone["error"]);
    let unknown = plane.expect(404, Method::GET, "/health/nobody", None).await;
    assert_eq!(unknown["error"], "No health data for agent: nobody");
    plane.expect(200, Method::DELETE, "/agents/gone", None).await;
    assert_eq!(plane.get("/health").await["status"], "healthy");
    plane.post("/agents/a/heartbeat", json!({"status": "failed"})).await;
    assert_eq!(plane.get("/health").await["status"], "unhealthy");

    let detailed = plane.get("/health/detailed").await;
    assert_eq!(keys(&detailed), words("status uptime_seconds version components"));
    assert_eq!(detailed["version"], env!("CARGO_PKG_VERSION"));
    assert!(detailed["uptime_seconds"].is_f64());
    let components = detailed["components"].as_array().unwrap();
    assert!(!components.is_empty());
    for component in components {
        assert_eq!(keys(component), words("name status latency_ms"));
        assert_eq!(component["status"], "healthy");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn counts_agree_with_what_was_done() {
    let (plane, held) = busy().await;
    let stats = plane.get("/stats").await;
    let registry = &stats["registry"];
    let fields = "total_agents available_agents by_status by_capability by_provider heartbeat_timeout";
    assert_eq!(keys(registry), words(fields));
    assert_eq!((&registry["total_agents"], &registry["available_agents"]), (&json!(2), &json!(0)));
    assert_eq!(registry["by_status"], json!({"busy": 1, "offline": 1}));
    assert_eq!(registry["by_capability"], json!({"x": 1}));
    assert_eq!(registry["by_provider"], json!({"p": 1, "unknown": 1}));
    assert_eq!(registry["heartbeat_timeout"], 90.0);
    let by_status =
        json!({"cancelled": 0, "completed": 1, "failed": 1, "pending": 2, "running": 1, "timeout": 0});
    assert_eq!(stats["scheduler"]["by_status"], by_status);
    assert_eq!(stats["scheduler"]["by_priority"], json!({"high": 1, "low": 1, "normal": 1, "urgent": 0}));
    assert_eq!(stats["scheduler"]["by_type"], json!({"t": 1, "u": 2}));
    assert_eq!(stats["scheduler"]["total"], 5);
    assert_eq!(keys(&stats["config"]), words("redis_url heartbeat_timeout task_timeout"));

    let metrics = plane.get("/metrics").await;
    let shape = json!({
        "active_jobs": 1, "queued_jobs": 2, "completed_jobs": 1, "agents_available": 0, "agents_busy": 1,
        "total_agents": 2, "documents_processed_today": 0, "audits_completed_today": 0, "tokens_used_today": 0
    });
    assert_eq!(metrics, shape);
    let tasks = plane.get("/metrics/tasks").await;
    assert_eq!(
        (&tasks["submitted"], &tasks["completed"], &tasks["failed"]),
        (&json!(5), &json!(1), &json!(1))
    );
    assert_eq!((&tasks["completion_rate"], &tasks["by_status"]), (&json!(0.5), &by_status));
    let system = plane.get("/metrics/system").await;
    assert!(system["memory"]["process_bytes"].as_u64() > Some(0), "{system}");
    assert_eq!(system["cpu"]["load_average"].as_array().unwrap().len(), 3);
    for path in ["/agents/a/metrics", "/metrics/agents/a"] {
        let agent = plane.get(path).await;
        assert_eq!((&agent["agent_id"], &agent["status"]), (&json!("a"), &json!("busy")));
        assert_eq!((&agent["tasks_completed"], &agent["tasks_failed"]), (&json!(1), &json!(1)));
        assert_eq!((&agent["success_rate"], &agent["current_tasks"]), (&json!(0.5), &json!([held])));
    }
    plane.api.stop().await;
}
