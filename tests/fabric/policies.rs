//! Policies for agents through the fabric, as in the guide.

use serde_json::{Value, json};
use synod::fabric::{AgentConfig, Policy, PolicyRule};
use synod::native::AgentError;

use crate::support::{echo, eventually, fabric, folder, result};

fn code_execution() -> Policy {
    Policy::new("code-execution")
        .rule(
            PolicyRule::require_approval("execute_code").condition("language", "python").reason("code runs"),
        )
        .rule(PolicyRule::deny("file_write").condition("path", "/etc/*"))
        .rule(PolicyRule::allow("file_*"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_allowed_denied_and_approved_as_in_the_guide() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(echo("coder")).await.unwrap().id;
    let engine = fabric.policies();
    engine.add_policy(&code_execution()).await.unwrap();

    let params = json!({ "language": "python", "code": "..." });
    let decision = engine.evaluate(agent, "execute_code", &params).await.unwrap();
    assert_eq!((decision.action, &*decision.reason), ("require_approval", "code runs"));
    let approval = decision.approval_id.unwrap();
    let (approved, voted) =
        tokio::join!(engine.wait_for_approval(approval), engine.approve(approval, "ann", "fine"));
    voted.unwrap();
    assert!(approved && engine.evaluate(agent, "execute_code", &params).await.unwrap().is_allowed());

    for (path, action) in [("/etc/passwd", "deny"), ("/srv/site", "allow")] {
        let decision = engine.evaluate(agent, "file_write", &json!({ "path": path })).await.unwrap();
        assert_eq!((decision.action, decision.approval_id), (action, None), "{path}");
    }
    // No rule is about it.
    let other = engine.evaluate(agent, "execute_code", &json!({ "language": "rust" })).await.unwrap();
    assert_eq!((other.action, other.policy), ("deny", None));

    let another = engine.evaluate(agent, "execute_code", &json!({ "language": "python" })).await.unwrap();
    engine.deny(another.approval_id.unwrap(), "ben", "not this").await.unwrap();
    assert!(!engine.wait_for_approval(another.approval_id.unwrap()).await);
    engine.remove_policy("code-execution").await.unwrap();
    let bare = engine.evaluate(agent, "file_read", &json!({})).await.unwrap();
    assert_eq!(bare.action, "deny");
    assert!(engine.evaluate(agent, "file_read", &7).await.is_err(), "parameters are an object");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_at_work_waits_for_its_approval() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let coder = AgentConfig::new("claude-3-opus", "coder").handler(|context, params: Value| async move {
        let answer = context.may_use("execute_code", params).await;
        Ok::<_, AgentError>(json!({ "allowed": answer.allowed }))
    });
    let agent = fabric.spawn(coder).await.unwrap().id;
    fabric.policies().add_policy(&code_execution()).await.unwrap();
    let task = fabric.schedule(agent, "work", &json!({ "language": "python" })).await.unwrap();
    let asked = || fabric.node().read(|state| state.approvals().next().map(|approval| approval.id));
    let approval = eventually("an approval is asked for", asked).await;
    fabric.policies().approve(approval, "ann", "fine").await.unwrap();
    assert_eq!(result(&fabric, task.id).await, json!({ "allowed": true }));
    fabric.node().stop().await;
}
