//! Tasks: submitting, seeing, cancelling, their history.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Plane, keys, words};

#[tokio::test]
async fn a_task_is_shown_with_every_field_and_what_was_asked() {
    let plane = Plane::start().await;
    let asked = json!({
        "task_type": "review", "payload": {"b": [1, 2.50], "a": null}, "required_capabilities": ["y", "x"],
        "priority": "high", "timeout_seconds": 12.5, "max_retries": 5, "metadata": {"ticket": 7},
        "target_region": "eu", "fallback_regions": ["us"], "region_routing_mode": "preferred", "origin_region": "eu"
    });
    let id = plane.task(asked).await;
    let task = plane.get(&format!("/tasks/{id}")).await;
    let fields = "id task_type payload required_capabilities status priority created_at assigned_at started_at \
        completed_at assigned_agent timeout_seconds max_retries retries result error metadata target_region \
        fallback_regions assigned_region region_routing_mode origin_region";
    assert_eq!(keys(&task), words(fields));
    assert_eq!(task["payload"].to_string(), r#"{"b":[1,2.5],"a":null}"#);
    assert_eq!(task["required_capabilities"], json!(["x", "y"]));
    assert_eq!((&task["status"], &task["priority"]), (&json!("pending"), &json!(75)));
    assert_eq!((&task["timeout_seconds"], &task["max_retries"]), (&json!(12.5), &json!(5)));
    assert_eq!((&task["retries"], &task["metadata"]), (&json!(0), &json!({"ticket": 7})));
    assert_eq!((&task["target_region"], &task["fallback_regions"]), (&json!("eu"), &json!(["us"])));
    assert_eq!((&task["region_routing_mode"], &task["origin_region"]), (&json!("preferred"), &json!("eu")));
    assert!(task["created_at"].is_f64());
    for none in
        ["assigned_at", "started_at", "completed_at", "assigned_agent", "result", "error", "assigned_region"]
    {
        assert_eq!(task[none], Value::Null, "{none}");
    }

    let id = plane.task(json!({"task_type": "t"})).await;
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["payload"], &task["metadata"]), (&json!({}), &json!({})));
    assert_eq!((&task["priority"], &task["max_retries"]), (&json!(50), &json!(3)));
    assert_eq!((&task["timeout_seconds"], &task["region_routing_mode"]), (&json!(300.0), &json!("any")));
    plane.api.stop().await;
}

#[tokio::test]
async fn tasks_are_claimed_by_priority_then_in_order_and_critical_is_urgent() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let mut submitted = Vec::new();
    for priority in
        [json!("low"), json!("normal"), json!("critical"), json!("URGENT"), json!(75), json!(null)]
    {
        submitted.push(plane.task(json!({"task_type": "t", "priority": priority})).await);
    }
    for (place, number) in [(2, 100), (3, 100), (4, 75), (1, 50), (5, 50), (0, 0)] {
        let task = plane.claim("a").await;
        assert_eq!((&task["id"], &task["priority"]), (&json!(submitted[place]), &json!(number)));
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn a_waiting_task_moved_to_the_front_is_claimed_first() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let first = plane.task(json!({"task_type": "t"})).await;
    let second = plane.task(json!({"task_type": "t"})).await;
    let moved = plane.post("/queue/prioritize", json!({"task_id": second, "priority": "urgent"})).await;
    assert_eq!(moved, json!({"updated": [second], "failed": [], "priority": "urgent"}));
    assert_eq!(plane.get(&format!("/tasks/{second}")).await["priority"], 100);
    assert_eq!(plane.claim("a").await["id"], json!(second));
    let both = json!({"task_ids": [first, "nothing"], "priority": "low"});
    let moved = plane.post("/queue/prioritize", both).await;
    assert_eq!(moved["updated"], json!([first]));
    assert_eq!(moved["failed"][0]["task_id"], "nothing");
    for (status, body, text) in [
        (400, json!({"task_id": first}), "priority is required"),
        (400, json!({"priority": "high"}), "task_id is required"),
        (400, json!({"task_id": first, "priority": "asap"}), "Invalid priority: asap"),
        (404, json!({"task_id": "no", "priority": "low"}), "Task not found or already completed: no"),
    ] {
        let answer = plane.expect(status, Method::POST, "/queue/prioritize", Some(body)).await;
        assert_eq!(answer["error"], text);
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn a_cancelled_task_is_over_and_cancelling_it_again_changes_nothing() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    for _ in 0..2 {
        assert_eq!(plane.bare(&format!("/tasks/{id}/cancel")).await, json!({"cancelled": true}));
    }
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["assigned_agent"]), (&json!("cancelled"), &Value::Null));
    assert!(task["completed_at"].is_f64() && task["error"].is_string());
    assert_eq!(plane.claim("a").await, Value::Null);

    let done = plane.task(json!({"task_type": "t"})).await;
    plane.claim("a").await;
    plane.bare(&format!("/tasks/{done}/complete")).await;
    for id in [&*done, "nothing", "task_00000000000000000000000000"] {
        let answer = plane.expect(404, Method::POST, &format!("/tasks/{id}/cancel"), None).await;
        assert_eq!(answer["error"], format!("Task not found or already completed: {id}"));
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn what_is_no_task_is_refused_with_its_reason_and_nothing_is_submitted() {
    let plane = Plane::start().await;
    for (body, text) in [
        (json!({}), "task_type is required"),
        (json!({"task_type": "", "payload": {}}), "task_type is required"),
        (json!({"task_type": "a b"}), "task_type is not valid: "),
        (json!({"task_type": "t", "priority": "asap"}), "Invalid priority: asap"),
        (json!({"task_type": "t", "timeout_seconds": 0}), "timeout_seconds must be a number above 0"),
        (json!({"task_type": "t", "timeout_seconds": -1e300}), "timeout_seconds must be a number above 0"),
        (json!({"task_type": "t", "max_retries": 1000}), "retry"),
        (json!({"task_type": "t", "max_retries": -1}), "the body is not valid: "),
        (json!({"task_type": "t", "region_routing_mode": "x"}), "Invalid region_routing_mode: x"),
        (json!({"task_type": "t", "metadata": {"big": "x".repeat(20_000)}}), "metadata"),
        (json!("t"), "the body is not valid: "),
    ] {
        let answer = plane.expect(400, Method::POST, "/tasks", Some(body.clone())).await;
        let error = answer["error"].as_str().unwrap();
        assert!(error.starts_with(text), "{text}: {error}");
    }
    assert_eq!(plane.api.node.read(|state| state.unfinished()), 0);
    for id in ["nothing", "task_00000000000000000000000000"] {
        let answer = plane.expect(404, Method::GET, &format!("/tasks/{id}"), None).await;
        assert_eq!(answer["error"], format!("Task not found: {id}"));
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn history_walks_ended_tasks_latest_first_by_pages_and_filters() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"task_type": if number == 3 { "odd" } else { "t" }, "metadata": {"n": number}});
        let id = plane.task(body).await;
        plane.claim("a").await;
        let end = if number == 4 { "fail" } else { "complete" };
        let said = json!({"agent_id": "a", "result": number, "error": "broke", "requeue": false});
        plane.post(&format!("/tasks/{id}/{end}"), said).await;
        ids.insert(0, id);
    }
    plane.task(json!({"task_type": "t"})).await;
    let page = async |query: &str| {
        let page = plane.get(&format!("/tasks/history?{query}")).await;
        let ids: Vec<_> = page["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["total"].as_u64().unwrap(), page["has_more"].as_bool().unwrap())
    };
    assert_eq!(page("").await, (ids.clone(), 5, false));
    assert_eq!(page("limit=2").await, (ids[0..2].to_vec(), 5, true));
    assert_eq!(page("limit=2&offset=2").await, (ids[2..4].to_vec(), 5, true));
    assert_eq!(page("limit=2&offset=4").await, (ids[4..].to_vec(), 5, false));
    assert_eq!(page("offset=9").await, (Vec::new(), 5, false));
    assert_eq!(page("status=failed").await, (vec![ids[0].clone()], 1, false));
    assert_eq!(page("task_type=odd").await, (vec![ids[1].clone()], 1, false));
    assert_eq!(page("agent_id=a&status=completed&limit=3").await, (ids[1..4].to_vec(), 4, true));
    assert_eq!(page("agent_id=nobody").await, (Vec::new(), 0, false));

    let whole = plane.get("/tasks/history?limit=1").await;
    let fields = "id type status priority assigned_agent result error retries duration_ms created_at started_at \
        completed_at metadata";
    let failed = &whole["history"][0];
    assert_eq!(keys(failed), words(fields));
    assert_eq!((&failed["error"], &failed["result"]), (&json!("broke"), &Value::Null));
    assert_eq!((&failed["assigned_agent"], &failed["priority"]), (&json!("a"), &json!("normal")));
    assert_eq!((&failed["metadata"], &failed["retries"]), (&json!({"n": 4}), &json!(0)));
    assert!(failed["duration_ms"].is_f64() && failed["completed_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&whole["limit"], &whole["offset"]), (&json!(1), &json!(0)));
    let wrong = plane.expect(400, Method::GET, "/tasks/history?status=lost", None).await;
    assert!(wrong["error"].as_str().unwrap().starts_with("Invalid status: lost"));
    plane.expect(400, Method::GET, "/tasks/history?offset=100001", None).await;
    plane.expect(400, Method::GET, "/tasks/history?limit=x", None).await;
    plane.api.stop().await;
}
