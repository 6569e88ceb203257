//! Agents and pools: who does the work, and what they are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::id::{AgentId, NodeId, TaskId};
use crate::name::Name;
use crate::placement::Strategy;
use crate::restart::RestartPolicy;
use crate::spread::{Recovery, SpreadSpec};
use crate::time::Timestamp;

/// The most tasks one agent may hold at a time.
pub const CONCURRENCY_MAX: u32 = 10_000;

/// The most agents of one pool.
pub const POOL_SIZE_MAX: u32 = 10_000;

/// The most agents in all. Each takes some kilobytes with its labels and metadata on every replica, and a name once
/// given is never forgotten by itself: without a bound one careless client could fill the memory.
pub const AGENTS_MAX: usize = 100_000;

/// The most pools in all. Each has a mailbox and, with a program's environment, some kilobytes on every replica.
pub const POOLS_MAX: usize = 10_000;

/// Who runs an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Host {
    /// This node runs it under its supervision tree.
    Node(NodeId),
    /// It runs elsewhere and lives by its heartbeats.
    External,
}

/// What an agent is. Never changes after registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// The agent's id.
    pub id: AgentId,
    /// What people call it.
    pub name: Name,
    /// The pool it belongs to.
    pub pool: Option<Name>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What people and placement filter by.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// Where it is.
    pub region: Option<Name>,
    /// How many tasks it may hold at a time, 1 to [`CONCURRENCY_MAX`].
    pub concurrency: u32,
    /// Who runs it.
    pub host: Host,
    /// How long an agent that runs elsewhere may be silent before it is taken for gone; `None` is what the node
    /// is set to. Whoever listens to heartbeats looks at it; the rules do not.
    pub heartbeat_timeout: Option<Duration>,
    /// What its owner attached, as JSON text; never looked at. At most
    /// [`METADATA_BYTES_MAX`](crate::payload::METADATA_BYTES_MAX) bytes.
    pub metadata: Option<Arc<str>>,
}

/// The states of an agent, as people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentStatus {
    /// Being started.
    Starting,
    /// Takes work.
    Ready,
    /// Takes work when a slot is free; all are taken.
    Busy,
    /// Finishes what it has, takes nothing new.
    Draining,
    /// Gone: stopped, or silent for too long.
    Offline,
    /// Broken; restarts are used up or waiting.
    Failed,
    /// Prepared; takes no work until it is needed.
    Standby,
}

impl fmt::Display for AgentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "STARTING",
            Self::Ready => "READY",
            Self::Busy => "BUSY",
            Self::Draining => "DRAINING",
            Self::Offline => "OFFLINE",
            Self::Failed => "FAILED",
            Self::Standby => "STANDBY",
        })
    }
}

/// The stored part of an agent's status; busy follows from what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// Being started.
    Starting,
    /// In service.
    Ready,
    /// Takes nothing new.
    Draining,
    /// Gone.
    Offline,
    /// Broken.
    Failed,
}

/// An agent: what it is and how it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What it is.
    pub spec: Arc<AgentSpec>,
    /// Its stored status.
    pub standing: Standing,
    /// Why it has that status, for a person.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// The tasks it holds a lease on.
    pub held: BTreeSet<TaskId>,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// How many tasks it completed.
    pub completed: u64,
    /// How many attempts failed in its hands.
    pub failed: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// How long it worked: from start to end, summed over its ended attempts.
    pub worked: Duration,
    /// Whether it retires: it takes nothing new and is removed with the end of its last lease.
    pub retiring: bool,
    /// Whether it is one of the agents that its pool keeps in reserve on this node.
    pub standby: bool,
}

impl Agent {
    /// Returns the status as people see it.
    pub fn status(&self) -> AgentStatus {
        match self.standing {
            Standing::Starting => AgentStatus::Starting,
            Standing::Ready if self.standby => AgentStatus::Standby,
            Standing::Ready if self.free() == 0 => AgentStatus::Busy,
            Standing::Ready => AgentStatus::Ready,
            Standing::Draining => AgentStatus::Draining,
            Standing::Offline => AgentStatus::Offline,
            Standing::Failed => AgentStatus::Failed,
        }
    }

    /// Returns how many more tasks it may take by its concurrency, whatever its status.
    pub fn free(&self) -> u32 {
        self.spec.concurrency.saturating_sub(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }

    /// Tells whether it takes new work.
    pub fn takes_work(&self) -> bool {
        self.standing == Standing::Ready && !self.standby && self.free() > 0
    }
}

/// How agents of a pool are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuntimeSpec {
    /// A program, started once for each task.
    Process(ProcessSpec),
    /// A Rust type registered with the node under this name.
    Native(Name),
    /// Nobody here: its agents register themselves.
    External,
}

/// How a program is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Program and arguments; at least the program.
    pub command: Vec<String>,
    /// Working directory, absolute.
    pub cwd: Option<String>,
    /// Added to the allow-list of inherited variables.
    pub env: BTreeMap<String, String>,
}

/// What a pool is; put again to change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// Its name, unique on the node's cluster.
    pub name: Name,
    /// How its agents are run.
    pub runtime: RuntimeSpec,
    /// What its agents can do.
    pub capabilities: Capabilities,
    /// How many agents it keeps at least.
    pub min: u32,
    /// How many agents it may have.
    pub max: u32,
    /// How many tasks each of its agents may hold.
    pub concurrency: u32,
    /// How agents are chosen for waiting work.
    pub strategy: Strategy,
    /// When and how often a broken agent is restarted.
    pub restart: RestartPolicy,
    /// On which nodes its agents are, and how many on each.
    #[serde(default)]
    pub spread: SpreadSpec,
    /// What becomes of its agents whose node goes down.
    #[serde(default)]
    pub recovery: Recovery,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// What it is.
    pub spec: Arc<PoolSpec>,
    /// How many agents it should have, from `min` to `max`.
    pub target: u32,
    /// When it was first put.
    pub created_at: Timestamp,
    /// Since when it retires; then it takes no new work and is removed when it has neither work nor agents.
    pub retiring: Option<Timestamp>,
    /// How many of its agents each node has; nodes without any are left out.
    pub shares: BTreeMap<NodeId, u32>,
    /// How many of its standby agents each node has; nodes without any are left out.
    pub standbys: BTreeMap<NodeId, u32>,
}
