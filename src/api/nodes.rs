//! Nodes, health and figures.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::LaneDepths;

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Names it for ever; bound to its data folder.
    #[schema(example = "node_01k00000000000000000000000")]
    pub id: String,
    /// Whether it leads its group.
    pub leader: bool,
    /// The term of its group.
    pub term: u64,
    /// The last applied place in the log.
    pub applied: u64,
    /// Its version.
    pub version: String,
    /// How long it runs.
    pub uptime_ms: u64,
    /// How many agents it runs.
    pub agents: u64,
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
