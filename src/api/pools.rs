//! Pools: creating and scaling them, and what is shown of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Assignment, Autoscale, HostedSpec, RestartAfter, RolloutPolicy, Scaled};

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
    /// On which nodes its agents are, and how many on each; evenly on all of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// What becomes of its agents whose node goes down; `replacement` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// When and how often a broken agent is restarted that a node runs; five times in a minute if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// How it scales between `min` and `max` by itself. If left out, a pool whose agents a node runs grows as far as its
    /// work asks for, and does not shrink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// What becomes of tasks that are submitted to it; they are `queued` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// After what its agents begin anew; not by themselves if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<RestartAfter>,
    /// How new agents replace old ones when what they are made from changes; all at once if left out, and then what
    /// they have in hand is redelivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutPolicy>,
}

/// When and how often a broken agent is restarted. What is left out gets its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    /// `permanent` (after every exit), `transient` (after a failure) or `temporary` (never).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "permanent")]
    pub kind: Option<String>,
    /// How many restarts may happen within the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 5, maximum = 100)]
    pub intensity: Option<u32>,
    /// The window in which restarts are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 60000, minimum = 1)]
    pub period_ms: Option<u64>,
    /// The wait before the second restart in a row; the first does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 100)]
    pub backoff_ms: Option<u64>,
    /// The longest wait between restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 30000)]
    pub backoff_max_ms: Option<u64>,
}

/// On which nodes a pool's agents are, and how many on each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spread {
    /// `even`, `packed` on as few nodes as possible, or `zones` (as many in each zone as in any other; nodes with the same
    /// label `zone` are one); `even` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "even")]
    pub manner: Option<String>,
    /// How many agents one node may have at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_node: Option<u32>,
    /// What a node must be labelled with.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where a node must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The pools beside whose agents it has none of its own, as long as other nodes have room. It makes room for them,
    /// they do not for it; of two that name each other, the one whose name comes later does. They need not be there yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["databases"]))]
    pub apart_from: Vec<String>,
    /// Whether it has rather fewer agents than one beside one of theirs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apart_strictly: bool,
}

/// What becomes of a pool's agents whose node goes down.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// `restart` (they wait for their node), `replacement` (other nodes start new ones), `failover` (standby agents
    /// take their place) or `degraded` (the pool goes on smaller until the node is back).
    #[schema(example = "failover")]
    pub kind: String,
    /// How many agents stand by, for `failover`; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub standby: Option<u32>,
}

/// What a node has of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Which node.
    #[schema(example = "node_01k00000000000000000000000")]
    pub node: String,
    /// Its name.
    pub name: String,
    /// How many agents of the pool serve there.
    pub agents: u32,
    /// How many stand by there.
    pub standbys: u32,
}

/// Why a pool has fewer places for agents than it should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shortfall {
    /// How many agents are missing.
    pub missing: u32,
    /// Why, for a person.
    pub reason: String,
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
    /// On which nodes its agents are, and how many on each.
    #[serde(default)]
    pub spread: Spread,
    /// What becomes of its agents whose node goes down.
    #[serde(default)]
    pub recovery: Recovery,
    /// When and how often a broken agent is restarted.
    #[serde(default)]
    pub restart: Restart,
    /// What each node has of it, as agreed; nodes without any are left out.
    #[serde(default)]
    pub shares: Vec<Share>,
    /// Why it has fewer places for agents than it should have, if it does: it goes on degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Shortfall>,
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
    /// How its circuit breaker stands, if it has one: `closed`, `open` or `half_open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<String>,
    /// How it scales by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// The last time that it was scaled by its rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<Scaled>,
    /// What becomes of tasks that are submitted to it.
    #[serde(default)]
    pub assignment: Assignment,
    /// After what its agents begin anew, if they do by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<RestartAfter>,
    /// How new agents replace old ones when what they are made from changes; all at once without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutPolicy>,
    /// How far its rollout is, if one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "rolling")]
    pub rolling: Option<String>,
    /// When it was created.
    pub created_at: String,
}
