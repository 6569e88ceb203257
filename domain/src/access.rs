//! Who may do what, beyond what stands in a token: roles, the workspace of a token, and whose a pool or an agent is.
//!
//! ```text
//!  token's own permissions ∪ those of the roles that are bound to it = what it allows
//!  a token of a workspace sees and changes what is of that workspace, whatever it allows
//! ```
//!
//! A role is a named set of permissions. It is bound to one token, or to all tokens of a name, everywhere or for those of
//! one workspace. A token without a workspace is an operator's: it reaches everything that it allows. What nobody gave to
//! a workspace belongs to [the default one](Name::default).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, TokenId};
use crate::name::Name;
use crate::permission::{Permission, Permissions};
use crate::quota::{Pace, Quota};
use crate::token::TokenSpec;

/// The most roles beside those that are built in.
pub const ROLES_MAX: usize = 1000;

/// The most bindings of roles; a request looks at those of its token alone.
pub const BINDINGS_MAX: usize = 10_000;

/// The names of the roles that are built in, and cannot be changed.
pub const BUILT_IN: [&str; 4] = ["viewer", "operator", "approver", "admin"];

/// Returns what a role that is built in allows.
pub fn built_in(role: &str) -> Option<Permissions> {
    // Who made tokens and what everybody did is for those who may do something about it.
    let looks = |one: Permission| {
        one.as_str().ends_with(":read") && !matches!(one, Permission::TokensRead | Permission::AuditRead)
    };
    let is_of = |one: Permission, groups: &[&str]| {
        one.as_str().split_once(':').is_some_and(|(group, _)| groups.contains(&group))
    };
    let works =
        ["agents", "pools", "tasks", "mailboxes", "nodes", "hooks", "limits", "resources", "breakers"];
    let all = Permission::ALL.into_iter();
    Some(match role {
        "viewer" => all.filter(|one| looks(*one)).collect(),
        "operator" => {
            all.filter(|one| looks(*one) || *one == Permission::AuditRead || is_of(*one, &works)).collect()
        }
        "approver" => all.filter(|one| looks(*one) || is_of(*one, &["approvals"])).collect(),
        "admin" => Permissions::all(),
        _ => return None,
    })
}

/// Whom a role is bound to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// One token.
    Token(TokenId),
    /// Every token of this name.
    Name(Name),
}

impl Subject {
    /// Returns the text form: `token/…` or `name/…`.
    pub fn path(&self) -> String {
        match self {
            Self::Token(token) => format!("token/{token}"),
            Self::Name(name) => format!("name/{name}"),
        }
    }
}

/// A role that is bound to somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoleBinding {
    /// To whom.
    pub subject: Subject,
    /// Which role.
    pub role: Name,
    /// For tokens of this workspace alone; for all when there is none.
    pub workspace: Option<Name>,
}

impl RoleBinding {
    /// Returns the text form, which names it: subject, role and workspace.
    pub fn path(&self) -> String {
        let Self { subject, role, workspace } = self;
        // A name holds no zero byte, and none is empty.
        format!("{}\0{role}\0{}", subject.path(), workspace.as_ref().map_or("", Name::as_str))
    }
}

/// What may belong to a workspace by itself. A task says whose it is, and an agent of a pool is the pool's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owned {
    /// A pool and its agents.
    Pool(Name),
    /// An agent without a pool.
    Agent(AgentId),
}

impl Owned {
    /// Returns the text form: `pool/…` or `agent/…`.
    pub fn path(&self) -> String {
        match self {
            Self::Pool(pool) => format!("pool/{pool}"),
            Self::Agent(agent) => format!("agent/{agent}"),
        }
    }
}

/// Names a row of access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessKey {
    /// A role.
    Role(Name),
    /// A binding.
    Binding(RoleBinding),
    /// The workspace of a token.
    Workspace(TokenId),
    /// Whose something is.
    Owner(Owned),
    /// What a workspace may have.
    Quota(Name),
    /// How fast a workspace submits.
    Pace(Name),
}

impl AccessKey {
    /// Returns the bytes that name it among the others.
    pub fn to_bytes(&self) -> Vec<u8> {
        let with = |kind: u8, text: &str| [&[kind][..], text.as_bytes()].concat();
        match self {
            Self::Role(role) => with(b'r', role.as_str()),
            Self::Binding(binding) => with(b'b', &binding.path()),
            Self::Workspace(token) => with(b'w', &token.to_string()),
            Self::Owner(owned) => with(b'o', &owned.path()),
            Self::Quota(workspace) => with(b'q', workspace.as_str()),
            Self::Pace(workspace) => with(b'p', workspace.as_str()),
        }
    }
}

/// A row of access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccessRow {
    /// A role and what it allows.
    Role(Name, Permissions),
    /// A binding.
    Binding(RoleBinding),
    /// The workspace of a token.
    Workspace(TokenId, Name),
    /// Whose something is.
    Owner(Owned, Name),
    /// What a workspace may have.
    Quota(Name, Quota),
    /// How fast a workspace submits.
    Pace(Name, Pace),
}

/// Changes of who may do what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccessCommand {
    /// Makes a role, or says anew what it allows.
    PutRole {
        /// What it is called.
        role: Name,
        /// What it allows.
        permissions: Permissions,
    },
    /// Removes a role and its bindings.
    RemoveRole {
        /// Which one.
        role: Name,
    },
    /// Binds a role.
    Bind(RoleBinding),
    /// Ends a binding.
    Unbind(RoleBinding),
    /// Makes a token of a workspace.
    PutToken {
        /// What it shall be.
        spec: Arc<TokenSpec>,
        /// Whose it is.
        workspace: Name,
    },
    /// Gives a pool or an agent to a workspace, or back to the default one.
    SetOwner {
        /// What.
        owned: Owned,
        /// To whom.
        workspace: Option<Name>,
    },
    /// Says what a workspace may have; an empty quota bounds nothing.
    PutQuota {
        /// Which one.
        workspace: Name,
        /// What it may have.
        quota: Quota,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_roles_grow_from_looking_to_everything() {
        let role = |name| built_in(name).expect(name);
        assert!(BUILT_IN.into_iter().all(|name| built_in(name).is_some()) && built_in("king").is_none());
        assert!(role("operator").include(&role("viewer")) && role("admin").include(&role("operator")));
        for never in [Permission::TokensWrite, Permission::ClusterWrite, Permission::ClusterBackup] {
            assert!(!role("operator").allow(never) && !role("approver").allow(never));
        }
        assert!(
            role("operator").allow(Permission::PoolsWrite) && !role("viewer").allow(Permission::TasksWrite)
        );
        assert!(
            !role("viewer").allow(Permission::TokensRead) && !role("viewer").allow(Permission::AuditRead)
        );
    }

    #[test]
    fn bindings_that_differ_have_names_that_differ() {
        let name = |text: &str| Name::new(text).expect("a name");
        let one = |subject, role, workspace: Option<&str>| {
            AccessKey::Binding(RoleBinding { subject, role: name(role), workspace: workspace.map(name) })
                .to_bytes()
        };
        let subject = || Subject::Name(name("a"));
        let all = [
            one(subject(), "b", None),
            one(subject(), "b", Some("c")),
            one(subject(), "c", None),
            one(Subject::Name(name("a/b")), "c", None),
            one(Subject::Token(TokenId::from_raw(1)), "b", None),
        ];
        for (place, bytes) in all.iter().enumerate() {
            assert!(!all[..place].contains(bytes));
        }
    }
}
