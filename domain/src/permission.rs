//! What a token allows, as names that people write: `tasks:read`, `pools:*`, `*`.
//!
//! Every route of the API declares one permission and every token carries a set; what is not in the set is
//! refused. The names of older control planes are accepted when a set is written (`control_plane:tasks:write`)
//! and never shown.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that a token may allow. A format: variants are only appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// See agents.
    #[serde(rename = "agents:read")]
    AgentsRead,
    /// Register, restart, drain and remove agents, and send their heartbeats.
    #[serde(rename = "agents:write")]
    AgentsWrite,
    /// See pools.
    #[serde(rename = "pools:read")]
    PoolsRead,
    /// Create, scale and remove pools.
    #[serde(rename = "pools:write")]
    PoolsWrite,
    /// See tasks, their logs and results, and dead letters.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Submit, retry, redrive and move tasks.
    #[serde(rename = "tasks:write")]
    TasksWrite,
    /// Cancel tasks and purge dead letters.
    #[serde(rename = "tasks:delete")]
    TasksDelete,
    /// Claim tasks and write about them under a lease: what a worker does.
    #[serde(rename = "tasks:work")]
    TasksWork,
    /// See mailboxes and what is paused.
    #[serde(rename = "mailboxes:read")]
    MailboxesRead,
    /// Pause and resume mailboxes, pools and workspaces.
    #[serde(rename = "mailboxes:write")]
    MailboxesWrite,
    /// Listen to events.
    #[serde(rename = "events:read")]
    EventsRead,
    /// See nodes, health in detail and figures.
    #[serde(rename = "nodes:read")]
    NodesRead,
    /// Drain nodes, and end that.
    #[serde(rename = "nodes:write")]
    NodesWrite,
    /// See tokens; never their secrets.
    #[serde(rename = "tokens:read")]
    TokensRead,
    /// Create, rotate and revoke tokens.
    #[serde(rename = "tokens:write")]
    TokensWrite,
    /// See who belongs to the cluster, its join tokens and the numbers of its gossip keys; never a secret.
    #[serde(rename = "cluster:read")]
    ClusterRead,
    /// Let nodes in and out, change roles, keys and the leader.
    #[serde(rename = "cluster:write")]
    ClusterWrite,
    /// Fetch everything that is agreed, the hashes of tokens and all payloads among it.
    #[serde(rename = "cluster:backup")]
    ClusterBackup,
    /// See circuit breakers and limit sets.
    #[serde(rename = "limits:read")]
    LimitsRead,
    /// Change circuit breakers and limit sets.
    #[serde(rename = "limits:write")]
    LimitsWrite,
    /// See hooks, with their work and results.
    #[serde(rename = "hooks:read")]
    HooksRead,
    /// Make, end, reassign and remove hooks: runs git in any repository that the node's user may read.
    #[serde(rename = "hooks:write")]
    HooksWrite,
    /// See resources, who has them and who waits for them.
    #[serde(rename = "resources:read")]
    ResourcesRead,
    /// Make, change and remove resources.
    #[serde(rename = "resources:write")]
    ResourcesWrite,
    /// See the audit log, and check it.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// Say how long the audit log is kept.
    #[serde(rename = "audit:write")]
    AuditWrite,
    /// See policies, and ask what they say.
    #[serde(rename = "policies:read")]
    PoliciesRead,
    /// Make, change and remove policies, and say what becomes of violations.
    #[serde(rename = "policies:write")]
    PoliciesWrite,
    /// See approvals.
    #[serde(rename = "approvals:read")]
    ApprovalsRead,
    /// Say yes or no to approvals.
    #[serde(rename = "approvals:write")]
    ApprovalsWrite,
    /// See budgets and what was used.
    #[serde(rename = "budgets:read")]
    BudgetsRead,
    /// Make, change, raise, reset and remove budgets.
    #[serde(rename = "budgets:write")]
    BudgetsWrite,
    /// See roles, to whom they are bound, and whose pools and agents are.
    #[serde(rename = "roles:read")]
    RolesRead,
    /// Make, bind and remove roles, and give pools and agents to workspaces.
    #[serde(rename = "roles:write")]
    RolesWrite,
    /// See webhooks, how they stand and what is still to be told them; never their secrets.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// Make, change, test and remove webhooks: sends what happens to an address.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
}

impl Permission {
    /// All permissions, in order of their declaration.
    pub const ALL: [Self; 36] = [
        Self::AgentsRead,
        Self::AgentsWrite,
        Self::PoolsRead,
        Self::PoolsWrite,
        Self::TasksRead,
        Self::TasksWrite,
        Self::TasksDelete,
        Self::TasksWork,
        Self::MailboxesRead,
        Self::MailboxesWrite,
        Self::EventsRead,
        Self::NodesRead,
        Self::NodesWrite,
        Self::TokensRead,
        Self::TokensWrite,
        Self::ClusterRead,
        Self::ClusterWrite,
        Self::ClusterBackup,
        Self::LimitsRead,
        Self::LimitsWrite,
        Self::HooksRead,
        Self::HooksWrite,
        Self::ResourcesRead,
        Self::ResourcesWrite,
        Self::AuditRead,
        Self::AuditWrite,
        Self::PoliciesRead,
        Self::PoliciesWrite,
        Self::ApprovalsRead,
        Self::ApprovalsWrite,
        Self::BudgetsRead,
        Self::BudgetsWrite,
        Self::RolesRead,
        Self::RolesWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
    ];

    /// Returns the permission's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentsRead => "agents:read",
            Self::AgentsWrite => "agents:write",
            Self::PoolsRead => "pools:read",
            Self::PoolsWrite => "pools:write",
            Self::TasksRead => "tasks:read",
            Self::TasksWrite => "tasks:write",
            Self::TasksDelete => "tasks:delete",
            Self::TasksWork => "tasks:work",
            Self::MailboxesRead => "mailboxes:read",
            Self::MailboxesWrite => "mailboxes:write",
            Self::EventsRead => "events:read",
            Self::NodesRead => "nodes:read",
            Self::NodesWrite => "nodes:write",
            Self::TokensRead => "tokens:read",
            Self::TokensWrite => "tokens:write",
            Self::ClusterRead => "cluster:read",
            Self::ClusterWrite => "cluster:write",
            Self::ClusterBackup => "cluster:backup",
            Self::LimitsRead => "limits:read",
            Self::LimitsWrite => "limits:write",
            Self::HooksRead => "hooks:read",
            Self::HooksWrite => "hooks:write",
            Self::ResourcesRead => "resources:read",
            Self::ResourcesWrite => "resources:write",
            Self::AuditRead => "audit:read",
            Self::AuditWrite => "audit:write",
            Self::PoliciesRead => "policies:read",
            Self::PoliciesWrite => "policies:write",
            Self::ApprovalsRead => "approvals:read",
            Self::ApprovalsWrite => "approvals:write",
            Self::BudgetsRead => "budgets:read",
            Self::BudgetsWrite => "budgets:write",
            Self::RolesRead => "roles:read",
            Self::RolesWrite => "roles:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
        }
    }

    /// Tells whether older control planes knew it: their `control_plane:*` means all of these. They had no pools;
    /// who may make one runs programs as the node's user, and so may do everything.
    const fn is_of_older_control_planes(self) -> bool {
        !matches!(
            self,
            Self::PoolsWrite
                | Self::NodesWrite
                | Self::TokensRead
                | Self::TokensWrite
                | Self::ClusterRead
                | Self::ClusterWrite
                | Self::ClusterBackup
                | Self::LimitsWrite
                | Self::HooksRead
                | Self::HooksWrite
                | Self::ResourcesRead
                | Self::ResourcesWrite
                | Self::AuditWrite
                | Self::ApprovalsWrite
                | Self::BudgetsWrite
                | Self::RolesRead
                | Self::RolesWrite
                | Self::WebhooksRead
                | Self::WebhooksWrite
        )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission {0:?}; use one such as tasks:read, a group such as tasks:*, or *")]
pub struct PermissionUnknown(pub String);

/// A set of permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Tells whether it allows nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything.
    pub fn all() -> Self {
        Self(Permission::ALL.into_iter().collect())
    }

    /// What a remote worker needs and no more; to ask whether it may use a tool is part of it.
    pub fn of_worker() -> Self {
        use Permission::{AgentsRead, AgentsWrite, PoliciesRead, TasksRead, TasksWork};
        Self([AgentsRead, AgentsWrite, PoliciesRead, TasksRead, TasksWork].into_iter().collect())
    }

    /// What one needs to look and to change nothing.
    pub fn of_reader() -> Self {
        Self(Permission::ALL.into_iter().filter(|one| one.as_str().ends_with(":read")).collect())
    }

    /// Tells whether it holds `permission`.
    pub fn allow(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// Tells whether it holds all that `other` does: nobody may give away more than they have.
    pub fn include(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// Walks the set in order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    /// Reads one word of a set: a permission, a group such as `tasks:*`, or `*`.
    fn word(word: &str) -> Result<Self, PermissionUnknown> {
        let older = word.strip_prefix("control_plane:").or_else(|| word.strip_prefix("controlplane:"));
        let plain = older.unwrap_or(word);
        let mut found: BTreeSet<Permission> = Permission::ALL
            .into_iter()
            .filter(|one| older.is_none() || one.is_of_older_control_planes())
            .filter(|one| match plain.strip_suffix('*') {
                Some("") => true,
                Some(group) => group.ends_with(':') && one.as_str().starts_with(group),
                None => one.as_str() == plain,
            })
            .collect();
        if found.is_empty() {
            return Err(PermissionUnknown(word.to_owned()));
        }
        // There the same permission let a client submit, claim and complete.
        if older.is_some() && found.contains(&Permission::TasksWrite) {
            found.insert(Permission::TasksWork);
        }
        Ok(Self(found))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl FromStr for Permissions {
    type Err = PermissionUnknown;

    /// Reads words apart by commas or spaces.
    fn from_str(text: &str) -> Result<Self, PermissionUnknown> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let mut all = Self::default();
        for word in words {
            all.0.extend(Self::word(word)?.0);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Permissions {
        text.parse().expect("permissions")
    }

    #[test]
    fn words_groups_and_the_star_are_read() {
        assert_eq!(set("*"), Permissions::all());
        assert_eq!(
            set("tasks:read, agents:*").iter().map(Permission::as_str).collect::<Vec<_>>(),
            ["agents:read", "agents:write", "tasks:read"]
        );
        assert_eq!(set(""), Permissions::default());
    }

    #[test]
    fn names_of_older_control_planes_mean_what_they_meant_there() {
        assert_eq!(set("control_plane:agents:read"), set("agents:read"));
        assert_eq!(set("controlplane:tasks:write"), set("tasks:write,tasks:work"));
        assert!(!set("control_plane:*").allow(Permission::TokensWrite));
        assert!(!set("control_plane:*").allow(Permission::PoolsWrite));
        assert!(set("control_plane:*").allow(Permission::TasksDelete));
    }

    #[test]
    fn what_is_no_permission_is_refused_by_name() {
        for wrong in ["tasks", "tasks:fly", "task*", "control_plane:tokens:write", "Tasks:read"] {
            assert_eq!(wrong.parse::<Permissions>(), Err(PermissionUnknown(wrong.to_owned())));
        }
    }

    #[test]
    fn names_round_trip_and_the_list_is_complete() {
        for permission in Permission::ALL {
            assert_eq!(set(permission.as_str()), [permission].into_iter().collect());
        }
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }

    #[test]
    fn a_worker_may_neither_submit_nor_look_at_tokens() {
        let worker = Permissions::of_worker();
        assert!(worker.allow(Permission::TasksWork));
        assert!(!worker.allow(Permission::TasksWrite) && !worker.allow(Permission::TokensRead));
        for of_cluster in [Permission::ClusterRead, Permission::ClusterWrite, Permission::ClusterBackup] {
            assert!(!worker.allow(of_cluster), "{of_cluster}");
        }
        assert!(Permissions::all().include(&worker) && !worker.include(&Permissions::of_reader()));
    }
}
