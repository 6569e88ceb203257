//! From policies, verdicts, violations and approvals to what the API shows of them.

use serde_json::{Map, Value as Json, json};
use synod_domain::approval::{self, ApprovalStatus};
use synod_domain::name::Name;
use synod_domain::policy::{self, Attributes, Effect, Ruled, Ruling, Test, Value, glob};
use synod_domain::violation;

use crate::api;
use crate::http::native::shown::{millis, time};

pub(crate) fn policy(policy: &policy::Policy) -> api::Policy {
    let spec = &policy.spec;
    api::Policy {
        spec: api::NewPolicy {
            name: spec.name.to_string(),
            description: spec.description.as_deref().map(str::to_owned),
            priority: spec.priority,
            enabled: Some(spec.enabled),
            enforcement: Some(spec.enforcement.as_str().to_owned()),
            scope: api::PolicyScope {
                workspaces: names(&spec.scope.workspaces),
                regions: names(&spec.scope.regions),
                task_types: names(&spec.scope.task_types),
                capabilities: names(&spec.scope.capabilities),
            },
            agents: api::PolicyAgents {
                allowed: names(&spec.agents.allowed),
                blocked: names(&spec.agents.blocked),
            },
            rules: spec.rules.iter().map(rule).collect(),
        },
        version: policy.version,
        created_at: time(policy.created_at),
        changed_at: time(policy.changed_at),
    }
}

fn names<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

fn rule(rule: &policy::Rule) -> api::PolicyRule {
    let demand = match &rule.effect {
        Effect::RequireApproval(demand) => Some(demand),
        Effect::Allow | Effect::Deny => None,
    };
    api::PolicyRule {
        action: rule.action.to_string(),
        effect: rule.effect.as_str().to_owned(),
        conditions: rule.conditions.iter().map(|one| (one.attribute.to_string(), test(&one.test))).collect(),
        when: rule.when.as_deref().map(str::to_owned),
        reason: rule.reason.as_deref().map(str::to_owned),
        approvers: demand.map(|demand| names(&demand.approvers)).unwrap_or_default(),
        approver_roles: demand.map(|demand| names(&demand.roles)).unwrap_or_default(),
        quorum: demand.map(|demand| demand.quorum),
        timeout_ms: demand.map(|demand| millis(demand.timeout)),
    }
}

fn test(test: &Test) -> Json {
    match test {
        Test::Equals(Value::Text(text)) if glob::is_pattern(text) => json!({ "equals": &**text }),
        Test::Equals(wanted) => value(wanted),
        Test::Like(pattern) => Json::from(&**pattern),
        Test::Compare(how, with) => json!({ how.as_str(): value(with) }),
        Test::Any(tests) => tests.iter().map(self::test).collect(),
        Test::Not(inner) => json!({ "not": self::test(inner) }),
    }
}

fn value(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(&**text),
        Value::Whole(number) => Json::from(*number),
        Value::Number(number) => Json::from(*number),
        Value::Flag(flag) => Json::from(*flag),
        Value::List(list) => list.iter().map(self::value).collect(),
    }
}

fn attributes(attributes: &Attributes) -> Map<String, Json> {
    attributes.iter().map(|(name, one)| (name.to_string(), value(one))).collect()
}

pub(crate) fn evaluated(ruled: &Ruled) -> api::Evaluated {
    let verdict = &ruled.verdict;
    let decision = match (&verdict.ruling, ruled.approval) {
        (Ruling::RequireApproval(_), Some((_, ApprovalStatus::Approved))) => "allow",
        (
            Ruling::RequireApproval(_),
            Some((_, ApprovalStatus::Denied | ApprovalStatus::Expired | ApprovalStatus::Withdrawn)),
        ) => "deny",
        (ruling, _) => ruling.as_str(),
    };
    api::Evaluated {
        decision: decision.to_owned(),
        allowed: ruled.allows(),
        reason: verdict.why.to_string(),
        policy: verdict.by.as_ref().map(|by| by.policy.to_string()),
        policy_version: verdict.by.as_ref().map(|by| by.version),
        rule: verdict.by.as_ref().and_then(|by| by.rule),
        warned: verdict.warned,
        approval_id: ruled.approval.map(|(id, _)| id.to_string()),
        approval_status: ruled.approval.map(|(_, status)| status.to_string()),
    }
}

pub(crate) fn violation(violation: &violation::Violation) -> api::Violation {
    let offence = &violation.offence;
    let settled = violation.settled.as_ref();
    api::Violation {
        id: violation.id.to_string(),
        policy: offence.policy.as_ref().map(ToString::to_string),
        policy_version: violation.by.as_ref().map(|by| by.version),
        rule: violation.by.as_ref().and_then(|by| by.rule),
        enforcement: violation.by.as_ref().map(|by| by.enforcement.to_string()),
        action: offence.action.to_string(),
        workspace: offence.workspace.as_ref().map(ToString::to_string),
        subject: offence.subject.to_string(),
        allowed: violation.allowed,
        task_id: violation.task.map(|task| task.to_string()),
        agent_id: violation.agent.map(|agent| agent.to_string()),
        reason: violation.why.to_string(),
        count: violation.count,
        first_at: time(violation.first_at),
        last_at: time(violation.last_at),
        status: violation.status.to_string(),
        settled_by: settled.map(|settled| settled.by.to_string()),
        note: settled.map(|settled| settled.note.to_string()),
    }
}

pub(crate) fn approval(approval: &approval::Approval) -> api::Approval {
    api::Approval {
        id: approval.id.to_string(),
        status: approval.status.to_string(),
        action: approval.action.to_string(),
        workspace: approval.workspace.as_ref().map(ToString::to_string),
        task_id: approval.task.map(|task| task.to_string()),
        agent_id: approval.agent.map(|agent| agent.to_string()),
        attributes: attributes(&approval.attributes),
        content: approval.content.as_deref().map(str::to_owned),
        policy: approval.by.policy.to_string(),
        policy_version: approval.by.version,
        reason: approval.why.to_string(),
        approvers: names(&approval.demand.approvers),
        approver_roles: names(&approval.demand.roles),
        quorum: approval.demand.quorum,
        agreed: u32::try_from(approval.agreed()).unwrap_or(u32::MAX),
        votes: approval
            .votes
            .iter()
            .map(|vote| api::ApprovalVote {
                by: vote.voter.name.to_string(),
                approve: vote.approve,
                reason: vote.reason.to_string(),
                at: time(vote.at),
            })
            .collect(),
        requested_at: time(approval.requested_at),
        expires_at: time(approval.expires_at),
        decided_at: approval.decided_at.map(time),
    }
}
