//! Tokens: making, rotating and seeing them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What people call it.
    #[schema(example = "ci")]
    pub name: String,
    /// `admin`, `client` or `worker`; stands in the token's text and gives the permissions if none are named.
    #[schema(example = "worker")]
    pub kind: String,
    /// What it allows: `tasks:read`, groups such as `tasks:*`, or `*`. Never more than the caller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// How long it is valid; as long as the token it is made with if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// The workspace that it is bound to: it sees and changes only what is of that one. The caller's if they are bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Gives a token a new secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotateToken {
    /// How long the old secret is still taken; 0 if left out.
    pub keep_old_ms: u64,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// The accessor: names the token, also in logs; not secret.
    #[schema(example = "token_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `admin`, `client` or `worker`.
    pub kind: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was rotated last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<String>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The workspace that it is bound to; none for an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// A token with its secret, which is shown this once.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenWithSecret {
    /// The token.
    pub token: Token,
    /// Give this as `Authorization: Bearer …`; it is not stored and cannot be shown again.
    pub secret: String,
}

impl std::fmt::Debug for TokenWithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenWithSecret").field("token", &self.token).finish_non_exhaustive()
    }
}
