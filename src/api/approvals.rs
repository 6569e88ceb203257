//! Approvals: what people are asked to agree to.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What people are asked to agree to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Names it.
    pub id: String,
    /// `pending`, `approved`, `denied`, `expired` or `withdrawn`.
    pub status: String,
    /// What is to be done.
    pub action: String,
    /// Whose work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The task that waits for it, or in whose name it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The agent that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What is said of the action.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// More of it, as text: the payload of a task, or its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The policy whose rule asks for it.
    pub policy: String,
    /// In which version.
    pub policy_version: u64,
    /// Why.
    pub reason: String,
    /// Who may agree, by the names or ids of their tokens.
    pub approvers: Vec<String>,
    /// Roles whose holders may agree.
    pub approver_roles: Vec<String>,
    /// How many have to.
    pub quorum: u32,
    /// How many have.
    pub agreed: u32,
    /// What was said so far.
    pub votes: Vec<ApprovalVote>,
    /// When it was asked for.
    pub requested_at: String,
    /// Until when it is waited for.
    pub expires_at: String,
    /// When it was clear what comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
}

/// What one person said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalVote {
    /// Who, by the name of their token.
    pub by: String,
    /// Whether they agree.
    pub approve: bool,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

/// Which approvals are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ApprovalFilter {
    /// In this status; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Those to which a token of this name or id may say something; `me` for the one that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
}

/// A yes or no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SayToApproval {
    /// Why, for whoever looks at it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "looked at the diff")]
    pub reason: Option<String>,
}
