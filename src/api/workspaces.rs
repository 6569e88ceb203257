//! Workspaces: what each may have, and what it has.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a workspace may have at most. What is left out has the bounds of the node alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Agents: those that registered, and as many as its pools shall have that nodes run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 20)]
    pub agents: Option<u64>,
    /// Unfinished tasks that no agent has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 10_000)]
    pub waiting: Option<u64>,
    /// Submits in a second, that many at once at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 50, minimum = 1)]
    pub submits_per_second: Option<u32>,
    /// Bytes of payload of its unfinished tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Tasks that agents have. A task beyond that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
}

/// Changes a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PutWorkspace {
    /// How many tasks it takes in a turn, from 1 to 1000; as it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3, minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// What it may have at most, as a whole; as it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// What it is called.
    #[schema(example = "search")]
    pub name: String,
    /// How many tasks it takes in a turn.
    pub weight: u32,
    /// What it may have at most.
    pub quota: Quota,
    /// What it has.
    pub uses: WorkspaceUse,
}

/// What a workspace has, by the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceUse {
    /// Agents.
    pub agents: u64,
    /// Unfinished tasks that no agent has.
    pub waiting: u64,
    /// Bytes of payload of its unfinished tasks.
    pub storage_bytes: u64,
    /// Tasks that agents have.
    pub concurrency: u64,
    /// Of those that wait: in mailboxes, and held back by its concurrency.
    pub held_back: u64,
}
