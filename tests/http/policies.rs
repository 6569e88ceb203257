//! Policies and approvals over the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, send};

fn policy(name: &str, rule: &Value) -> Value {
    json!({ "name": name, "rules": [rule] })
}

#[tokio::test]
async fn a_policy_is_put_shown_toggled_and_removed() {
    let api = Api::start().await;
    let wanted = json!({
        "name": "careful",
        "priority": 5,
        "enforcement": "soft",
        "scope": { "workspaces": ["research"] },
        "rules": [{
            "action": "tool.file.*",
            "effect": "require_approval",
            "conditions": { "path": "/etc/*", "size": { "above": 10 }, "language": ["python", "sh"] },
            "when": "params.dry == false",
            "approvers": ["ann"],
            "timeout_ms": 60_000
        }]
    });
    let made = api.post("/api/v1/policies", &wanted).await.json();
    assert_eq!((&made["version"], &made["spec"]["enabled"]), (&json!(1), &json!(true)), "{made:#}");
    assert_eq!(made["spec"]["rules"][0]["conditions"], wanted["rules"][0]["conditions"]);
    let toggled = api.post("/api/v1/policies/careful/toggle", &json!({ "enabled": false })).await.json();
    assert_eq!((&toggled["version"], &toggled["spec"]["enabled"]), (&json!(2), &json!(false)));
    let mut wrong = wanted.clone();
    wrong["rules"][0]["when"] = json!("size >");
    let problem = api.post("/api/v1/policies", &wrong).await;
    problem.assert_problem(400, "invalid");
    assert!(problem.json()["detail"].as_str().unwrap().contains("rules[0].when"), "{}", problem.body);
    assert_eq!(api.get("/api/v1/policies/careful").await.json()["version"], json!(2));
    assert_eq!(api.delete("/api/v1/policies/careful").await.status.as_u16(), 204);
    api.get("/api/v1/policies/careful").await.assert_problem(404, "policy_unknown");
    api.stop().await;
}

#[tokio::test]
async fn a_denied_submit_names_the_policy_and_leaves_a_violation() {
    let api = Api::start().await;
    let deny = json!({ "action": "task.submit", "effect": "deny", "conditions": { "task_type": "deploy*" } });
    api.post("/api/v1/policies", &policy("no-deploys", &deny)).await;
    for _ in 0..2 {
        let refused = api.post("/api/v1/tasks", &json!({ "type": "deploy-site" })).await;
        refused.assert_problem(403, "policy_denied");
        assert!(refused.body.contains("policy no-deploys (version 1), rule 1"), "{}", refused.body);
    }
    api.submit_any("build").await;
    let violations = api.get("/api/v1/policies/violations?policy=no-deploys").await.json();
    let one = &violations["items"][0];
    assert_eq!((&one["count"], &one["subject"]), (&json!(2), &json!("deploy-site")), "{violations:#}");
    let path = format!("/api/v1/policies/violations/{}", one["id"].as_str().unwrap());
    let settle = json!({ "status": "resolved", "note": "told" });
    let settled = send(api.call(Method::PATCH, &path).json(&settle)).await;
    assert_eq!(settled.json()["status"], json!("resolved"), "{}", settled.body);
    api.stop().await;
}

#[tokio::test]
async fn a_task_waits_for_its_approval_and_goes_on_with_it() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let rule = json!({ "action": "task.submit", "effect": "require_approval" });
    api.post("/api/v1/policies", &policy("careful", &rule)).await;
    let task = api.submit_any("a").await;
    assert_eq!(api.claim(&agent, 1).await, Vec::<Value>::new());
    let why = api.get(&format!("/api/v1/tasks/{task}/why")).await.json();
    assert!(why["sentence"].as_str().unwrap_or_default().contains("synod approval approve"), "{why:#}");
    let pending = api.get("/api/v1/approvals/pending?approver=me").await.json();
    let approval = pending["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(pending["items"][0]["task_id"], json!(task));
    let approved =
        api.post(&format!("/api/v1/approvals/{approval}/approve"), &json!({ "reason": "fine" })).await;
    assert_eq!(approved.json()["status"], json!("approved"), "{}", approved.body);
    assert_eq!(api.claim(&agent, 1).await.len(), 1);
    let again = api.post(&format!("/api/v1/approvals/{approval}/deny"), &json!({})).await;
    again.assert_problem(409, "approval_closed");
    api.stop().await;
}

#[tokio::test]
async fn a_tool_that_needs_an_approval_waits_for_the_yes_of_somebody_else() {
    let api = Api::start().await;
    let rule = json!({ "action": "tool.shell", "effect": "require_approval", "approvers": ["root"] });
    api.post("/api/v1/policies", &policy("careful", &rule)).await;
    let denied = api.post("/api/v1/policy/evaluate", &json!({ "action": "tool.other" })).await.json();
    assert_eq!((&denied["decision"], &denied["allowed"]), (&json!("deny"), &json!(false)));
    let dry =
        api.post("/api/v1/policy/evaluate", &json!({ "action": "tool.shell", "dry": true })).await.json();
    assert!(dry["decision"] == json!("require_approval") && dry.get("approval_id").is_none(), "{dry:#}");
    let open = json!({ "action": "tool.shell", "attributes": { "command": "ls" } });
    let asked = api.post("/api/v1/policy/evaluate", &open).await.json();
    let id = asked["approval_id"].as_str().unwrap().to_owned();
    assert_eq!(asked["approval_status"], json!("pending"));
    let deny = api.post(&format!("/api/v1/approvals/{id}/approve"), &json!({})).await;
    // The token of the tests is not called root.
    deny.assert_problem(403, "not_an_approver");
    api.post(
        "/api/v1/policies",
        &policy(
            "careful",
            &json!({
                "action": "tool.shell", "effect": "require_approval", "timeout_ms": 60_000
            }),
        ),
    )
    .await;
    let mut other = open.clone();
    other["attributes"] = json!({ "command": "pwd" });
    let asked = api.post("/api/v1/policy/evaluate", &other).await.json();
    let id = asked["approval_id"].as_str().unwrap().to_owned();
    other["wait_ms"] = json!(30_000);
    let (answer, _) = tokio::join!(api.post("/api/v1/policy/evaluate", &other), async {
        api.post(&format!("/api/v1/approvals/{id}/approve"), &json!({})).await
    });
    let answer = answer.json();
    assert_eq!((&answer["decision"], &answer["allowed"]), (&json!("allow"), &json!(true)), "{answer:#}");
    api.stop().await;
}

#[tokio::test]
async fn a_dry_run_asks_tasks_and_approvals_again_and_changes_nothing() {
    let api = Api::start().await;
    let ask = json!({ "action": "tool.*", "effect": "require_approval" });
    api.post("/api/v1/policies", &policy("tools", &ask)).await;
    api.agent("ada", &[]).await;
    let task = api.submit(&json!({ "type": "deploy-site" })).await;
    let (claimed, attempt) = api.claim_one("ada").await;
    assert_eq!(claimed, task);
    api.post(&format!("/api/v1/tasks/{task}/complete"), &json!({ "attempt": attempt })).await;
    api.submit(&json!({ "type": "build" })).await;
    let question = json!({ "action": "tool.rm", "attributes": { "path": "/srv/x" }, "task_id": task });
    let asked = api.post("/api/v1/policy/evaluate", &question).await.json();
    let approval = asked["approval_id"].as_str().unwrap();

    let careful = json!({
        "name": "careful",
        "priority": 9,
        "rules": [
            { "action": "task.submit", "effect": "deny", "conditions": { "task_type": "deploy*" } },
            { "action": "tool.rm", "effect": "allow", "conditions": { "path": "/srv/*" } },
        ],
    });
    let trial = json!({ "policies": [careful] });
    let report = api.post("/api/v1/policies/dry-run", &trial).await.json();
    assert_eq!(
        (&report["tasks"], &report["approvals"], &report["changed"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let counts = json!({ "task.submit: allow to deny": 1, "tool.rm: require_approval to allow": 1 });
    assert_eq!(report["counts"], counts);
    let [submit, tool] = &report["changes"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!((&submit["task_id"], &submit["after"]["policy"]), (&json!(task), &json!("careful")));
    assert_eq!((&tool["approval_id"], &tool["before"]["policy"]), (&json!(approval), &json!("tools")));

    // Nothing of it is in force, and what is not tried comes out as it does.
    api.get("/api/v1/policies/careful").await.assert_problem(404, "policy_unknown");
    let nothing = api.post("/api/v1/policies/dry-run", &json!({})).await.json();
    assert_eq!((&nothing["questions"], &nothing["changed"]), (&json!(4), &json!(0)), "{nothing:#}");
    let bare = api.post("/api/v1/policies/dry-run", &json!({ "replace": true })).await.json();
    assert_eq!(bare["counts"], json!({ "tool.rm: require_approval to deny": 1 }), "{bare:#}");
    let fewer = api.post("/api/v1/policies/dry-run", &json!({ "policies": [], "tasks": 1 })).await.json();
    assert_eq!(fewer["tasks"], 1);
    api.post("/api/v1/policies/dry-run", &json!({ "tasks": 10_001 })).await.assert_problem(400, "invalid");
    api.stop().await;
}
