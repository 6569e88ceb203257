//! Resources: of what there is so much, who has it, and who is next.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resource {
    /// What it is called.
    #[schema(example = "gpu")]
    pub name: String,
    /// How much of it there is.
    pub capacity: u64,
    /// How much of it tasks have. More than there is only after its capacity was lowered.
    pub in_use: u64,
    /// How many tasks wait for it.
    pub waiting: u64,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// When it was made.
    pub created_at: String,
    /// The tasks that have some of it, 100 at most; only when a single one is looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<ResourceShare>,
    /// The tasks that wait for it, the next first, 100 at most; only when a single one is looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line: Vec<ResourceShare>,
}

/// How much of a resource a task has or waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceShare {
    /// The task.
    pub task_id: String,
    /// How much.
    pub amount: u64,
}

/// What a resource shall be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutResource {
    /// How much of it there is. What tasks have stays theirs when that is less.
    #[schema(example = 8)]
    pub capacity: u64,
    /// What it is, for people; at most 256 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}
