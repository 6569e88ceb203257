//! What a later version brings is answered in the right shape: empty lists, and a clear refusal to make something.

use reqwest::Method;
use serde_json::{Value, json};

use super::Plane;

#[tokio::test]
async fn lists_of_what_does_not_exist_yet_are_empty_and_of_the_right_shape() {
    let plane = Plane::start().await;
    for (path, shape) in [
        ("/breakers", json!({"breakers": []})),
        ("/policies", json!({"policies": [], "total": 0})),
        ("/policies/violations?limit=5", json!({"violations": [], "total": 0, "limit": 5, "offset": 0})),
        (
            "/policies/violations/stats",
            json!({"total": 0, "open": 0, "resolved": 0, "by_type": {}, "open_by_type": {}}),
        ),
        ("/schedules", json!({"schedules": [], "total": 0})),
        ("/notifications", json!({"notifications": [], "total": 0})),
        (
            "/notifications/stats",
            json!({"total_sent": 0, "successful": 0, "failed": 0, "success_rate": 0.0, "by_channel": {},
                "channels_configured": []}),
        ),
        ("/deliberations/d-1/status", json!({"request_id": "d-1", "status": "not_found"})),
    ] {
        assert_eq!(plane.get(path).await, shape, "{path}");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn making_what_does_not_exist_yet_is_refused_with_501_and_a_clear_text() {
    let plane = Plane::start().await;
    for (path, body, what) in [
        ("/schedules", json!({"cron": "* * * * *"}), "Schedules"),
        ("/deliberations", json!({"content": "Which?"}), "Deliberations"),
        ("/deliberations", json!({"content": "Which?", "async": true}), "Deliberations"),
    ] {
        let answer = plane.expect(501, Method::POST, path, Some(body)).await;
        assert_eq!(answer["error"], format!("{what} are not available in this version"));
        assert_eq!(answer["code"], "not_implemented");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_refused_before_it_matters_that_nothing_is_there() {
    let plane = Plane::start().await;
    let patch = "/policies/violations/v-1";
    for (status, method, path, body, text) in [
        (400, Method::POST, "/deliberations", None, "Missing required field: content"),
        (404, Method::GET, "/deliberations/d-1", None, "Deliberation not found"),
        (404, Method::GET, "/deliberations/d-1/transcript", None, "Deliberation not found"),
        (404, Method::GET, patch, None, "Violation not found: v-1"),
        (404, Method::PATCH, patch, Some(json!({"status": "resolved"})), "Violation not found: v-1"),
        (400, Method::PATCH, patch, None, "status is required"),
        (
            400,
            Method::PATCH,
            patch,
            Some(json!({"status": "gone"})),
            "Invalid status: gone; use open, investigating, resolved, false_positive",
        ),
        (404, Method::GET, "/schedules/s-1", None, "Schedule not found: s-1"),
        (404, Method::PUT, "/schedules/s-1", Some(json!({})), "Schedule not found: s-1"),
        (404, Method::DELETE, "/schedules/s-1", None, "Schedule not found: s-1"),
        (404, Method::GET, "/audit-logs/l-1", None, "Audit log not found: l-1"),
        (
            400,
            Method::GET,
            "/audit?start_time=yesterday",
            None,
            "Invalid start_time: yesterday; use ISO 8601",
        ),
    ] {
        let answer: Value = plane.expect(status, method, path, body).await;
        assert_eq!(answer["error"], text, "{path}");
    }
    plane.api.stop().await;
}
