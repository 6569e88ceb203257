//! Policies, what they say to a question, and violations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A policy as it shall be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewPolicy {
    /// What it is called.
    #[schema(example = "careful-tools")]
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The greatest is asked first; 0 if left out.
    pub priority: i32,
    /// Whether it is asked; it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `hard` (the default): what it denies is not done. `soft`: it can be overridden. `warn`: it is done and noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<String>,
    /// Which questions it is about.
    pub scope: PolicyScope,
    /// Which agents may be given the work that it is about.
    pub agents: PolicyAgents,
    /// The first that matches decides.
    pub rules: Vec<PolicyRule>,
}

/// Which questions a policy is about; an empty list leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyScope {
    /// Whose work.
    pub workspaces: Vec<String>,
    /// Where the agent is.
    pub regions: Vec<String>,
    /// What sort of work.
    pub task_types: Vec<String>,
    /// Work that asks for one of these.
    pub capabilities: Vec<String>,
}

/// Which agents may be given work, by name or id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyAgents {
    /// None but these; everybody when it is empty.
    pub allowed: Vec<String>,
    /// None of these.
    pub blocked: Vec<String>,
}

/// A rule of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyRule {
    /// A pattern over actions.
    #[schema(example = "tool.file.*")]
    pub action: String,
    /// `allow`, `deny` or `require_approval`.
    #[schema(example = "deny")]
    pub effect: String,
    /// What attributes must be, by name: a value; a text with `*` or `?`, which is a pattern; a list, of which one must
    /// hold; `{"above": 10}`, `below`, `at_least`, `at_most`; `{"not": ...}`.
    #[schema(value_type = Object)]
    pub conditions: BTreeMap<String, serde_json::Value>,
    /// A CEL expression that must be true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Why, for whoever is refused or asked to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who may agree, by the names or ids of their tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Roles whose holders may agree: viewer, operator, approver, admin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approver_roles: Vec<String>,
    /// How many have to agree; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// How long they are waited for; 300 000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A policy in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// What it is.
    pub spec: NewPolicy,
    /// Counts its changes.
    pub version: u64,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub changed_at: String,
}

/// Whether a policy is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TogglePolicy {
    /// Whether it is.
    pub enabled: bool,
}

/// What holds where no rule matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDefaults {
    /// For `tool.*`: whether it is allowed.
    pub tools: bool,
    /// For `task.*`.
    pub tasks: bool,
    /// For everything else.
    pub others: bool,
}

/// May this be done?
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// What is to be done.
    #[schema(example = "tool.shell.execute")]
    pub action: String,
    /// What is said of it; an object in it is read with dots: `params.path`.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// The agent that wants to do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The task that it is done for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Whose work it is, where no task says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// More of it for those who may have to agree, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// How long to wait for an approval, if it needs one; at most 60 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Whether nothing is noted and nobody asked: only what policies say is wanted.
    pub dry: bool,
}

/// What policies say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evaluated {
    /// `allow`, `deny` or `require_approval`. An approval that was given makes it `allow`, one that was not `deny`.
    pub decision: String,
    /// Whether it may be done now.
    pub allowed: bool,
    /// Why, for a person.
    pub reason: String,
    /// The policy that decided; none when a default did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// In which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<u64>,
    /// Which of its rules, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// Whether the rule says no and its policy only warns.
    pub warned: bool,
    /// The approval that it waits for, or that was given or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// What came of that so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_status: Option<String>,
}

/// Something that was asked for and that a policy does not allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// Names it.
    pub id: String,
    /// Against which policy; none when a default denied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// In which version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<u64>,
    /// Which of its rules, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// How firmly that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<String>,
    /// What was to be done.
    pub action: String,
    /// Whose work it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The type of the task, or the name of the agent.
    pub subject: String,
    /// Whether it was done all the same.
    pub allowed: bool,
    /// The task it was last about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The agent that asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Why it is not allowed.
    pub reason: String,
    /// How often it was asked for.
    pub count: u64,
    /// When it was asked for first.
    pub first_at: String,
    /// When it was asked for last.
    pub last_at: String,
    /// `open`, `investigating`, `resolved`, `false_positive` or `overridden`.
    pub status: String,
    /// Who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which violations are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ViolationFilter {
    /// Of this policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// In this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Of this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// What becomes of a violation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettleViolation {
    /// `open`, `investigating`, `resolved`, `false_positive`, or `overridden` where the policy is soft.
    #[schema(example = "resolved")]
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Policies to try on what is on record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DryRun {
    /// Policies as they would be; those in force under other names stay.
    pub policies: Vec<NewPolicy>,
    /// Policies in force that there would not be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether there would be none but those named here.
    pub replace: bool,
    /// What would hold where no rule matches; as it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<PolicyDefaults>,
    /// How many tasks are looked at, the latest first, at most 10 000; 1000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_000)]
    pub tasks: Option<u32>,
}

/// What other policies would have said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunReport {
    /// How many tasks were looked at.
    pub tasks: u64,
    /// How many questions of which an approval came.
    pub approvals: u64,
    /// How many questions were asked again, of both.
    pub questions: u64,
    /// How many of them would come out otherwise.
    pub changed: u64,
    /// How many of which sort: `task.submit: allow to deny`.
    pub counts: BTreeMap<String, u64>,
    /// Those that would come out otherwise, the latest tasks first; at most 1000.
    pub changes: Vec<DryRunChange>,
}

/// A question that would come out otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunChange {
    /// What was to be done.
    #[schema(example = "task.submit")]
    pub action: String,
    /// The task that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The agent that was to do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The approval that was asked for then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// Whose work it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// When it was asked for.
    pub at: String,
    /// What the policies in force say.
    pub before: Evaluated,
    /// What those that are tried say.
    pub after: Evaluated,
}
