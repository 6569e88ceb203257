//! Examples of policies, violations and approvals.

use serde_json::{Map, Value, json};

use super::{SUBMITTED, TASK};
use crate::api;

pub(crate) const POLICY: &str = "careful-tools";
pub(crate) const APPROVAL: &str = "approval_01k00000000000000000000000";
pub(crate) const VIOLATION: &str = "violation_01k00000000000000000000000";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub(crate) fn new_policy() -> api::NewPolicy {
    let conditions = |value: Value| object(value).into_iter().collect();
    api::NewPolicy {
        name: POLICY.to_owned(),
        priority: 10,
        rules: vec![
            api::PolicyRule {
                action: "tool.file.write".to_owned(),
                effect: "deny".to_owned(),
                conditions: conditions(json!({ "path": "/etc/*" })),
                reason: Some("the system is not theirs".to_owned()),
                ..api::PolicyRule::default()
            },
            api::PolicyRule {
                action: "tool.shell.*".to_owned(),
                effect: "require_approval".to_owned(),
                when: Some("size(command) < 500".to_owned()),
                approvers: vec!["ann".to_owned(), "ben".to_owned()],
                quorum: Some(1),
                timeout_ms: Some(300_000),
                ..api::PolicyRule::default()
            },
        ],
        ..api::NewPolicy::default()
    }
}

pub(crate) fn policy() -> api::Policy {
    let spec = api::NewPolicy { enabled: Some(true), enforcement: Some("hard".to_owned()), ..new_policy() };
    api::Policy { spec, version: 3, created_at: SUBMITTED.to_owned(), changed_at: SUBMITTED.to_owned() }
}

pub(crate) fn defaults() -> api::PolicyDefaults {
    api::PolicyDefaults { tools: false, tasks: true, others: false }
}

pub(crate) fn evaluate() -> api::Evaluate {
    api::Evaluate {
        action: "tool.shell.execute".to_owned(),
        attributes: object(json!({ "command": "make clean" })),
        task_id: Some(TASK.to_owned()),
        wait_ms: Some(30_000),
        ..api::Evaluate::default()
    }
}

pub(crate) fn evaluated() -> api::Evaluated {
    api::Evaluated {
        decision: "require_approval".to_owned(),
        allowed: false,
        reason: "tool.shell.execute needs an approval".to_owned(),
        policy: Some(POLICY.to_owned()),
        policy_version: Some(3),
        rule: Some(1),
        warned: false,
        approval_id: Some(APPROVAL.to_owned()),
        approval_status: Some("pending".to_owned()),
    }
}

pub(crate) fn dry_run() -> api::DryRun {
    api::DryRun { policies: vec![new_policy()], tasks: Some(1000), ..api::DryRun::default() }
}

pub(crate) fn dry_run_report() -> api::DryRunReport {
    let allowed = api::Evaluated {
        decision: "allow".to_owned(),
        allowed: true,
        reason: "tool.shell.execute is allowed".to_owned(),
        policy: Some("open-tools".to_owned()),
        policy_version: Some(1),
        rule: Some(0),
        ..api::Evaluated::default()
    };
    let asked = api::Evaluated { approval_id: None, approval_status: None, ..evaluated() };
    api::DryRunReport {
        tasks: 1000,
        approvals: 12,
        questions: 2012,
        changed: 1,
        counts: [("tool.shell.execute: allow to require_approval".to_owned(), 1)].into_iter().collect(),
        changes: vec![api::DryRunChange {
            action: "tool.shell.execute".to_owned(),
            task_id: Some(TASK.to_owned()),
            approval_id: Some(APPROVAL.to_owned()),
            workspace: Some("default".to_owned()),
            at: SUBMITTED.to_owned(),
            before: allowed,
            after: asked,
            ..api::DryRunChange::default()
        }],
    }
}

pub(crate) fn violation() -> api::Violation {
    api::Violation {
        id: VIOLATION.to_owned(),
        policy: Some(POLICY.to_owned()),
        policy_version: Some(3),
        rule: Some(0),
        enforcement: Some("hard".to_owned()),
        action: "tool.file.write".to_owned(),
        workspace: Some("default".to_owned()),
        subject: "builder-1".to_owned(),
        task_id: Some(TASK.to_owned()),
        reason: "the system is not theirs".to_owned(),
        count: 2,
        first_at: SUBMITTED.to_owned(),
        last_at: SUBMITTED.to_owned(),
        status: "open".to_owned(),
        ..api::Violation::default()
    }
}

pub(crate) fn approval() -> api::Approval {
    api::Approval {
        id: APPROVAL.to_owned(),
        status: "pending".to_owned(),
        action: "tool.shell.execute".to_owned(),
        workspace: Some("default".to_owned()),
        task_id: Some(TASK.to_owned()),
        attributes: object(json!({ "command": "make clean" })),
        policy: POLICY.to_owned(),
        policy_version: 3,
        reason: "tool.shell.execute needs an approval".to_owned(),
        approvers: vec!["ann".to_owned(), "ben".to_owned()],
        quorum: 1,
        requested_at: SUBMITTED.to_owned(),
        expires_at: SUBMITTED.to_owned(),
        ..api::Approval::default()
    }
}

pub(crate) fn say() -> api::SayToApproval {
    api::SayToApproval { reason: Some("looked at the command".to_owned()) }
}
