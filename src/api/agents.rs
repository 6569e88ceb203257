//! Agents: registering them, and what is shown of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Json;

/// Registers an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegisterAgent {
    /// What people call it. An external agent's name is its own: registering it again changes that agent.
    #[schema(example = "builder-1")]
    pub name: String,
    /// The pool it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What it can do: `name` or `name@version`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["rust"]))]
    pub capabilities: Vec<String>,
    /// What people and placement filter by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What its owner keeps with it: any JSON up to 16 KiB, never looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many tasks it may hold at a time; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10000)]
    pub concurrency: Option<u32>,
    /// How long it may be silent before it is OFFLINE and its work is given to others; the node's setting if
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// Makes it an agent that the node itself runs, in a pool of its own that has the agent's name. Without
    /// this the agent is external: it claims its work and lives by its heartbeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted: Option<HostedSpec>,
}

/// How the node runs an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostedSpec {
    /// Program and arguments, started once for each task.
    #[schema(example = json!(["python3", "agent.py"]))]
    pub command: Vec<String>,
    /// Working directory, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Added to the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Says that an agent lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeartbeatAgent {}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Names it for ever.
    #[schema(example = "agent_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The pool it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// `STARTING`, `READY`, `BUSY`, `DRAINING`, `OFFLINE`, `FAILED` or `STANDBY`.
    #[schema(example = "READY")]
    pub status: String,
    /// Why it has that status.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// `external`, or the node that runs it.
    pub host: String,
    /// The name of the node that runs it; absent for an external agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What people and placement filter by.
    pub labels: BTreeMap<String, String>,
    /// What its owner keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many tasks it may hold at a time.
    pub concurrency: u32,
    /// The tasks it holds.
    pub held: Vec<String>,
    /// How long it may be silent, for an external agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// How long ago it was heard of last on this node, for an external agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms_ago: Option<u64>,
    /// When it was registered.
    pub registered_at: String,
    /// How many tasks it completed.
    pub completed: u64,
    /// How many attempts failed in its hands.
    pub failed: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// How long its attempts took on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_ms: Option<u64>,
    /// The version of its pool's blueprint that it was started from.
    #[serde(default)]
    pub version: u64,
    /// Why it begins anew when it has finished what it has, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewing: Option<String>,
    /// How it does; with one agent only, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<AgentHealth>,
}

/// How an agent does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentHealth {
    /// How many tasks it holds.
    pub held: u64,
    /// How many tasks wait for it alone.
    pub queue_depth: u64,
    /// How many of its last attempts are remembered, 32 at most.
    pub recent_attempts: u32,
    /// How many of those failed.
    pub recent_failed: u32,
    /// The same in percent; 0 without any.
    #[schema(example = 6.3)]
    pub error_percent: f64,
    /// When its present life began: it was registered then.
    pub began_at: String,
    /// What its programs take of the machine; absent unless it has some at work on the node that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<AgentPrograms>,
    /// Why there is nothing about its programs, if there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<String>,
}

/// What the programs of an agent take of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentPrograms {
    /// How many processes they are.
    pub processes: u32,
    /// How much memory they hold.
    pub memory_bytes: u64,
    /// How much of one processor they use: since they were looked at last, or since they were started.
    #[schema(example = 87.5)]
    pub cpu_percent: f64,
}
