//! Hooks: work that is pinned to an agent and kept in git.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Estimate, Json};

/// A hook to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewHook {
    /// The agent that is to do it: one of the node that is asked, or one that runs outside. Left out when `pool` is named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// In place of an agent the pool that it is of: the one of those that the node runs which has the fewest hooks. While
    /// there is none, it is waited for some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The id that it gets; drawn if left out. A hook that is made again under its id is the one that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The repository's folder: an absolute path on the node that is asked.
    #[schema(example = "/srv/repositories/site")]
    pub repository: String,
    /// What is to be done, for the agent.
    pub work: Json,
    /// The branch that it is done on, made if there is none of that name; `hook/ID` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that a new branch begins at; where the repository stands if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The type of the tasks that the agent gets; `hook` if left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whose it is; `default` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// How often it is tried again; 3 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How long it may be silent before it is abandoned; what the node is set to if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after_ms: Option<u64>,
    /// The run that it is of, which is open: what its work uses counts for the budgets of that run and of its fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What one attempt at it is expected to use; reserved in the budgets before it is given out. What its type used so far
    /// if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The account of a provider that it is charged to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The model that it uses, for reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A hook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hook {
    /// Its id.
    pub id: String,
    /// `PENDING`, `ACTIVE`, `COMPLETED`, `FAILED` or `ABANDONED`.
    pub status: String,
    /// Who has it.
    pub agent_id: String,
    /// The pool of whoever has it: another agent of it may take it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The attempt that has it: whoever writes about the hook names it.
    pub attempt: u32,
    /// How many of its retries are used.
    pub retries: u32,
    /// How often it is tried again.
    pub max_retries: u32,
    /// Whose it is.
    pub workspace: String,
    /// The type of the tasks that the agent gets.
    #[serde(rename = "type")]
    pub kind: String,
    /// The task under which the present attempt is done.
    pub task_id: String,
    /// The node that has the repository.
    pub node: String,
    /// The repository on that node.
    pub repository: String,
    /// The branch that the work is done on.
    pub branch: String,
    /// The commit that the branch began at.
    pub base: String,
    /// Where the worktree is, if the node that is asked has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// What is to be done; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Json>,
    /// What came out of it; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// Why it failed or was abandoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the attempt before this one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What keeps it from going on, if the node that is asked has its repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How long it may be silent before it is abandoned.
    pub stale_after_ms: u64,
    /// When it was last heard of.
    pub heard_at: String,
    /// When it was made.
    pub created_at: String,
    /// When its status, agent or attempt last changed.
    pub updated_at: String,
}

/// Which hooks are meant. What is left out does not matter; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct HookFilter {
    /// The agent that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// One of these, apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "PENDING,ACTIVE")]
    pub status: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Says that work on a hook has begun, or goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartHook {
    /// Under which attempt.
    pub attempt: u32,
}

/// Ends a hook with its result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteHook {
    /// Under which attempt.
    pub attempt: u32,
    /// What came out of it; `null` if left out.
    #[serde(default)]
    pub result: Json,
}

/// Ends an attempt at a hook without a result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailHook {
    /// Under which attempt.
    pub attempt: u32,
    /// Why, for a person.
    pub reason: String,
}

/// Gives a hook to an agent, under the next attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReassignHook {
    /// To whom; to another one of the same pool if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

/// Takes over the hooks that are on record in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportHooks {
    /// The repository's folder: an absolute path on the node that is asked.
    pub repository: String,
}

/// The hooks that were taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedHooks {
    /// Their ids.
    pub hooks: Vec<String>,
}
