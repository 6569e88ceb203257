//! A pool of a fleet file, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use synod_domain::capability::Capability;
use synod_domain::name::Name;
use synod_domain::placement::Strategy;
use synod_domain::restart::RestartKind;
use synod_domain::spread::{Manner, Recovery};

use super::{AssignmentShape, AutoscaleShape, Period, RestartAfterShape, RolloutShape};

/// Agents of one kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a pool")]
#[schemars(rename = "Pool")]
pub(in super::super) struct PoolShape {
    /// How the agents are run. Without it, `command` means `process` and `native` means `native`.
    pub(in super::super) runtime: Option<RuntimeKind>,
    /// Program and arguments, started once for each task; templates are allowed. For `process`.
    #[schemars(length(min = 1))]
    pub(in super::super) command: Option<Vec<String>>,
    /// The name under which the Rust type is registered with the node. For `native`.
    #[schemars(with = "Option<String>")]
    pub(in super::super) native: Option<Name>,
    /// What the agents can do, each `name` or `name@version`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(in super::super) capabilities: Vec<Capability>,
    /// How many agents there are; the same as `min` and `max` with this number. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) size: Option<u32>,
    /// How many agents there are at least. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) min: Option<u32>,
    /// How many agents there may be. Default: as many as `min`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) max: Option<u32>,
    /// How many tasks each agent works on at a time. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) concurrency: Option<u32>,
    /// Environment variables for the program; templates are allowed. For `process`.
    #[serde(default)]
    pub(in super::super) env: BTreeMap<String, String>,
    /// Working folder of the program, relative to the fleet file's folder, which is also the default;
    /// templates are allowed. For `process`.
    pub(in super::super) cwd: Option<String>,
    /// How long one attempt may take, for tasks of this pool that do not say it themselves. Default: for ever.
    pub(in super::super) timeout: Option<Period>,
    /// How long an attempt may be silent on file descriptor 3, for tasks of this pool that do not say it
    /// themselves. Default: for ever.
    pub(in super::super) heartbeat: Option<Period>,
    /// When and how often a broken agent is restarted.
    pub(in super::super) restart: Option<Restart>,
    /// How agents are chosen for waiting work. Default `least_busy`.
    pub(in super::super) strategy: Option<StrategyWord>,
    /// On which nodes the agents are, and how many on each. Default: evenly on all nodes.
    pub(in super::super) spread: Option<Spread>,
    /// What becomes of agents whose node goes down. Default `replacement`.
    pub(in super::super) recovery: Option<RecoveryShape>,
    /// How the pool scales between `min` and `max` by itself. Default: it grows as far as its work asks for.
    pub(in super::super) autoscale: Option<AutoscaleShape>,
    /// What becomes of tasks that are submitted to the pool. Default `queued`.
    pub(in super::super) assignment: Option<AssignmentShape>,
    /// After what agents begin anew. Default: not by themselves.
    pub(in super::super) restart_after: Option<RestartAfterShape>,
    /// How new agents replace old ones when a run finds the pool changed. Default: all at once.
    pub(in super::super) rollout: Option<RolloutShape>,
}

/// On which nodes the agents of a pool are, and how many on each.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a spread")]
pub(in super::super) struct Spread {
    /// In which manner. Default `even`.
    pub(in super::super) manner: Option<MannerWord>,
    /// How many agents one node may have at most.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) max_per_node: Option<u32>,
    /// What a node must be labelled with.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(in super::super) labels: BTreeMap<Name, String>,
    /// Where a node must be. Default: anywhere.
    #[schemars(with = "Option<String>")]
    pub(in super::super) region: Option<Name>,
    /// The pools beside whose agents there are none of this pool, as long as other nodes have room.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 16))]
    pub(in super::super) apart_from: Vec<Name>,
    /// Whether there are rather fewer agents than one beside one of theirs. Default: no.
    pub(in super::super) apart_strictly: Option<bool>,
}

/// In which manner agents are put on nodes.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Manner")]
pub(in super::super) enum MannerWord {
    /// As many on each node as on any other.
    Even,
    /// On as few nodes as possible.
    Packed,
    /// As many in each zone as in any other: nodes with the same label `zone` are one.
    Zones,
}

impl From<MannerWord> for Manner {
    fn from(word: MannerWord) -> Self {
        match word {
            MannerWord::Even => Self::Even,
            MannerWord::Packed => Self::Packed,
            MannerWord::Zones => Self::Zones,
        }
    }
}

/// What becomes of a pool's agents whose node goes down.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Recovery")]
pub(in super::super) enum RecoveryShape {
    /// They wait for their node.
    Restart,
    /// Other nodes start new ones.
    Replacement,
    /// Standby agents on other nodes take their place at once.
    Failover {
        /// How many agents stand by.
        #[schemars(range(min = 1, max = 100))]
        standby: u32,
    },
    /// The pool goes on smaller until the node is back.
    Degraded,
}

impl From<RecoveryShape> for Recovery {
    fn from(shape: RecoveryShape) -> Self {
        match shape {
            RecoveryShape::Restart => Self::Restart,
            RecoveryShape::Replacement => Self::Replacement,
            RecoveryShape::Failover { standby } => Self::Failover { standby },
            RecoveryShape::Degraded => Self::Degraded,
        }
    }
}

/// How agents are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum RuntimeKind {
    /// A program, started once for each task.
    Process,
    /// A Rust type registered with the node.
    Native,
    /// Agents that run elsewhere and register themselves.
    External,
}

/// When and how often a broken agent is restarted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a restart policy")]
pub(in super::super) struct Restart {
    /// Which exits lead to a restart. Default `permanent`.
    pub(in super::super) kind: Option<RestartWord>,
    /// How many restarts may happen within `period`. Default 5, at most 100.
    #[schemars(range(max = 100))]
    pub(in super::super) intensity: Option<u32>,
    /// The window in which restarts are counted. Default `60s`.
    pub(in super::super) period: Option<Period>,
    /// The wait before the second restart in a row; the first does not wait. Default `100ms`.
    pub(in super::super) initial: Option<Period>,
    /// The longest wait between restarts. Default `30s`.
    pub(in super::super) max: Option<Period>,
}

/// Which exits of an agent lead to a restart.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RestartKind")]
pub(in super::super) enum RestartWord {
    /// Every exit does.
    Permanent,
    /// Only a failure does.
    Transient,
    /// None does.
    Temporary,
}

impl From<RestartWord> for RestartKind {
    fn from(word: RestartWord) -> Self {
        match word {
            RestartWord::Permanent => Self::Permanent,
            RestartWord::Transient => Self::Transient,
            RestartWord::Temporary => Self::Temporary,
        }
    }
}

/// How agents are chosen for waiting work.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Strategy")]
pub(in super::super) enum StrategyWord {
    /// One after the other.
    RoundRobin,
    /// Whoever holds the fewest tasks.
    LeastBusy,
    /// By lot.
    Random,
    /// Whoever offers the fewest capabilities beyond what is needed.
    CapabilityAware,
}

impl From<StrategyWord> for Strategy {
    fn from(word: StrategyWord) -> Self {
        match word {
            StrategyWord::RoundRobin => Self::RoundRobin,
            StrategyWord::LeastBusy => Self::LeastBusy,
            StrategyWord::Random => Self::Random,
            StrategyWord::CapabilityAware => Self::CapabilityAware,
        }
    }
}
