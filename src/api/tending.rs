//! How pools are tended: scaled, assigned to, renewed and rolled, as it travels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PoolRuntime;

/// By which rule a pool scales between its `min` and `max`. What is left out gets its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Autoscale {
    /// How many tasks may wait for each agent before there are to be more agents; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2, minimum = 1)]
    pub waiting_per_agent: Option<u32>,
    /// How long the oldest waiting task may wait before there are to be more agents, however few wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 60000, minimum = 1)]
    pub age_ms: Option<u64>,
    /// By how many agents the pool grows at a time; 4 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4, minimum = 1)]
    pub step_up: Option<u32>,
    /// By how many it shrinks at a time; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1, minimum = 1)]
    pub step_down: Option<u32>,
    /// How long after a change the next one comes at the earliest, and how long agents must have been spare before they
    /// leave; 30 s if left out. From zero a pool comes without a wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 30000)]
    pub cooldown_ms: Option<u64>,
    /// After how long without any work a pool whose `min` is 0 gives up its last agent; never if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 600_000, minimum = 1)]
    pub zero_after_ms: Option<u64>,
}

/// The last time that a pool was scaled by its rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scaled {
    /// When.
    pub at: String,
    /// How many agents it should have before.
    pub from: u32,
    /// How many from then on.
    pub to: u32,
    /// Why, for a person.
    #[schema(example = "12 tasks wait for 3 agents; 2 for each are meant")]
    pub reason: String,
}

/// What becomes of tasks that are submitted to a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// `queued` (they wait for an agent), `immediate` (a submit is refused unless an agent is free for it), `delegated`
    /// (they go to another pool while no agent of this one is free) or `consolidated` (they go to agents that hold work
    /// before they go to others).
    #[schema(example = "queued")]
    pub kind: String,
    /// The other pool, for `delegated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Default for Assignment {
    fn default() -> Self {
        Self { kind: "queued".to_owned(), to: None }
    }
}

/// After what agents that nodes run begin anew: whichever comes first. They finish what they have, one at a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartAfter {
    /// After they have served for so long; at least a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 86_400_000, minimum = 1000)]
    pub age_ms: Option<u64>,
    /// After so many of their attempts have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1000, minimum = 1)]
    pub tasks: Option<u64>,
}

/// How new agents replace old ones when what they are made from changes. What is left out gets its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutPolicy {
    /// How many agents are on their way at a time; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2, minimum = 1, maximum = 1000)]
    pub batch: Option<u32>,
    /// Who goes first and is watched; nobody if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// The agents that try a new version first. What is left out gets its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Canary {
    /// How many they are; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1, minimum = 1)]
    pub agents: Option<u32>,
    /// How many attempts must have ended in their hands before the others follow; 20 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 20)]
    pub tasks_min: Option<u64>,
    /// By how many percent points more of their attempts may fail than of those of the old version; 10 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 10, maximum = 100)]
    pub excess_percent: Option<u32>,
}

/// A rollout to begin: what of the agents changes, and how they are replaced.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewRollout {
    /// Who runs them; as it is if left out. A program is given whole, with its environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PoolRuntime>,
    /// What they can do; as it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// How many tasks each may hold; as it is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How they are replaced; as the pool says if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<RolloutPolicy>,
}

/// A rollout of a pool: how far it is, and why it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// Which pool.
    pub pool: String,
    /// `canary`, `rolling`, `rolling_back`, `done` or `rolled_back`.
    #[schema(example = "canary")]
    pub stage: String,
    /// Why it stands still, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Why it is in this stage.
    pub reason: String,
    /// What it does next, or waits for.
    #[schema(example = "7 of 20 attempts of the new version have ended")]
    pub next: String,
    /// How agents are replaced.
    pub policy: RolloutPolicy,
    /// The version before it.
    pub from: RolloutVersion,
    /// The version that it brings.
    pub to: RolloutVersion,
    /// How many agents are on their way from one to the other.
    pub renewing: u64,
    /// When it began.
    pub began_at: String,
    /// Since when it is in this stage.
    pub since: String,
}

/// One of the two versions of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutVersion {
    /// Its number.
    pub number: u64,
    /// How many agents are of it.
    pub agents: u64,
    /// How many attempts completed in their hands, in their present lives and during the rollout.
    pub completed: u64,
    /// How many failed.
    pub failed: u64,
    /// Who runs them.
    pub runtime: PoolRuntime,
    /// What they can do.
    pub capabilities: Vec<String>,
    /// How many tasks each may hold.
    pub concurrency: u32,
}

/// Why something is done to a rollout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutReason {
    /// Why, for whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the new program is looked at")]
    pub reason: Option<String>,
}
