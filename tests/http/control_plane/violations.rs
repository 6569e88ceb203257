//! What a policy denied is listed, counted and settled in the words of that API.

use reqwest::Method;
use serde_json::json;

use super::Plane;

#[tokio::test]
async fn what_a_policy_denied_is_listed_filtered_counted_and_settled() {
    let plane = Plane::start().await;
    let deny = |kind: &str| json!({ "action": "task.submit", "effect": "deny", "conditions": { "task_type": kind } });
    let rules = json!([deny("deploy"), deny("erase")]);
    let made = plane.post("/policies", json!({ "name": "careful", "rules": rules })).await;
    assert_eq!(made["policy"]["version"], 1, "{made:#}");
    assert_eq!(plane.get("/policies").await["total"], 1);
    for kind in ["deploy", "erase", "deploy"] {
        let body = json!({ "task_type": kind, "payload": {} });
        plane.expect(403, Method::POST, "/tasks", Some(body)).await;
    }

    // The same thing again is counted and not listed again.
    let all = plane.get("/policies/violations").await;
    assert_eq!(
        (&all["total"], &all["limit"], &all["offset"]),
        (&2.into(), &100.into(), &0.into()),
        "{all:#}"
    );
    let second = plane.get("/policies/violations?limit=1&offset=1&policy_id=careful&status=open").await;
    assert_eq!(second["violations"], json!([all["violations"][1]]), "{second:#}");
    assert_eq!(plane.get("/policies/violations?violation_type=tool.shell").await["total"], 0);
    assert_eq!(plane.get("/policies/violations?workspace_id=elsewhere").await["total"], 0);
    let twice = all["violations"].as_array().unwrap().iter().find(|one| one["count"] == 2).unwrap();
    assert_eq!((&twice["policy_id"], &twice["violation_type"]), (&"careful".into(), &"task.submit".into()));
    assert_eq!((&twice["enforcement_level"], &twice["status"]), (&"hard".into(), &"open".into()));

    let path = format!("/policies/violations/{}", twice["id"].as_str().unwrap());
    assert_eq!(plane.get(&path).await["violation"], *twice);
    let settle = json!({ "status": "resolved", "notes": "told" });
    let settled = plane.expect(200, Method::PATCH, &path, Some(settle)).await;
    assert_eq!((&settled["updated"], &settled["status"]), (&true.into(), &"resolved".into()), "{settled:#}");
    let known = plane.get(&path).await["violation"].clone();
    assert_eq!((&known["status"], &known["resolution_notes"]), (&"resolved".into(), &"told".into()));
    let stats = json!({"total": 2, "open": 1, "resolved": 1, "by_type": {"task.submit": 2},
        "open_by_type": {"task.submit": 1}});
    assert_eq!(plane.get("/policies/violations/stats").await, stats);
    plane.api.stop().await;
}
