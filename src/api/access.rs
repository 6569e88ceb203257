//! Roles, to whom they are bound, and whose pools and agents are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role: a named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// What it is called.
    #[schema(example = "deployer")]
    pub name: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// Whether it is built in, and cannot be changed.
    pub built_in: bool,
}

/// What a role shall allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRole {
    /// Permissions, groups such as `tasks:*`, or `*`. Never more than the caller has.
    pub permissions: Vec<String>,
}

/// A role that is bound to a token, or to all tokens of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleBinding {
    /// Which role.
    #[schema(example = "operator")]
    pub role: String,
    /// To the token of this id; either this or `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// To every token of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For tokens that are bound to this workspace alone; for all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Whose a pool or an agent is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// The pool, its agents with it; either this or `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The agent, by id or name; one without a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The workspace; back to everybody's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}
