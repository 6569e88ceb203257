//! Pools: creating and scaling them, and what is shown of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HostedSpec;

/// Who runs the agents of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolRuntime {
    /// The node starts a program for each task.
    Process(HostedSpec),
    /// A Rust type that is registered with the node under this name.
    Native(String),
    /// Agents that register themselves and claim their work.
    External,
}

/// A pool to create, or to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// Its name.
    #[schema(example = "builders")]
    pub name: String,
    /// Who runs its agents.
    #[schema(example = json!("external"))]
    pub runtime: PoolRuntime,
    /// What its agents can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// How many agents it keeps at least; 1 if left out, 0 for an external pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// How many agents it may have; `min` if left out, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How many tasks each agent may hold; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `round_robin`, `least_busy`, `random` or `capability_aware`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
}

/// Changes how many agents a pool should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalePool {
    /// How many; kept between the pool's min and max.
    #[schema(example = 4)]
    pub target: u32,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Who runs its agents.
    pub runtime: PoolRuntime,
    /// What its agents can do.
    pub capabilities: Vec<String>,
    /// How many agents it keeps at least.
    pub min: u32,
    /// How many agents it may have.
    pub max: u32,
    /// How many it should have now.
    pub target: u32,
    /// How many tasks each agent may hold.
    pub concurrency: u32,
    /// How agents are chosen for waiting work.
    pub strategy: String,
    /// How many agents it has.
    pub agents: u64,
    /// How many of those take work.
    pub ready: u64,
    /// How many tasks wait in its mailbox.
    pub waiting: u64,
    /// How many of its tasks have not ended.
    pub unfinished: u64,
    /// Whether it is being removed: it takes no new work and goes when it is empty.
    pub retiring: bool,
    /// Why it is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// When it was created.
    pub created_at: String,
}
