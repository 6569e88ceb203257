//! Nodes, health and figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::LaneDepths;

/// A node of the cluster: what is agreed of it, and what is rumoured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Node {
    /// Names it for ever; bound to its data folder.
    #[schema(example = "node_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is called in its group; never given out again.
    pub number: u64,
    /// `voter` or `worker`.
    #[schema(example = "voter")]
    pub role: String,
    /// `joining`, `up` or `down`, as agreed.
    #[schema(example = "up")]
    pub standing: String,
    /// Why it has that standing.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// Since when it gives its agents away, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<String>,
    /// Whether it leads its group.
    pub leader: bool,
    /// The term of its group.
    pub term: u64,
    /// The last place in the log that it is known to have applied.
    pub applied: u64,
    /// By how many entries its log is behind the leader's; only the leader knows that of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Through which place in the log it has lost what it had acknowledged, if it has: its disk is an older copy. Remove
    /// it, delete its data folder and let it join anew. Only the leader knows that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_through: Option<u64>,
    /// Its version.
    pub version: String,
    /// The number of its last start.
    pub generation: u64,
    /// How long it runs.
    pub uptime_ms: u64,
    /// Where other nodes reach it; empty on a node that stands alone.
    pub address: String,
    /// Where its API is; empty when it serves none or stands alone.
    pub api: String,
    /// Where it is.
    pub region: String,
    /// What people and placement filter by.
    pub labels: BTreeMap<String, String>,
    /// How many agents it hosts at most.
    pub capacity: u32,
    /// How many agents it runs.
    pub agents: u64,
    /// What gossip says of it; absent when nothing was heard since the node that is asked started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// What gossip says of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Seen {
    /// `alive`, `suspect`, `dead` or `left`.
    #[schema(example = "alive")]
    pub health: String,
    /// For how long.
    pub since_ms: u64,
    /// The number of its start.
    pub generation: u64,
    /// The agents that it hosts.
    pub agents: u32,
    /// How many more it can host.
    pub free_slots: u32,
    /// The tasks that wait, as it knows.
    pub waiting: u64,
    /// The last place in the log that it has applied.
    pub applied: u64,
    /// Its version.
    pub version: String,
}

/// Lets a node give its agents away, or ends that.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrainNode {
    /// Why, for whoever looks later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "its disk is replaced")]
    pub reason: Option<String>,
}

/// Makes a node a voter or a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// `voter` or `worker`.
    #[schema(example = "voter")]
    pub role: String,
}

/// Whether the node can do its work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `healthy`, `degraded` or `unhealthy`.
    #[schema(example = "healthy")]
    pub status: String,
    /// The version.
    pub version: String,
    /// How long the node runs.
    pub uptime_ms: u64,
    /// Its parts.
    pub components: Vec<Component>,
}

/// One part of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Component {
    /// Which.
    pub name: String,
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: String,
    /// Why it is not healthy, or what it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Figures of the moment and since ever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Tasks that have not ended.
    pub unfinished: u64,
    /// Tasks that wait in mailboxes.
    pub waiting: u64,
    /// Those, by lane.
    pub lanes: LaneDepths,
    /// Tasks that wait for their backoff.
    pub backing_off: u64,
    /// Tasks that somebody has a lease on.
    pub leased: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Agents.
    pub agents: u64,
    /// Agents that take work or are busy.
    pub agents_serving: u64,
    /// Agents that hold work.
    pub agents_busy: u64,
    /// Tasks submitted since ever.
    pub submitted: u64,
    /// Tasks completed since ever.
    pub completed: u64,
    /// Tasks that became dead letters since ever.
    pub failed: u64,
    /// Tasks that timed out since ever.
    pub timed_out: u64,
    /// Tasks called off since ever.
    pub cancelled: u64,
    /// Tasks completed today (UTC).
    pub completed_today: u64,
    /// Tasks that became dead letters today (UTC).
    pub failed_today: u64,
    /// About how long tasks waited on average before their first start, since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_wait_ms: Option<u64>,
    /// About how long attempts took on average, since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_work_ms: Option<u64>,
}
