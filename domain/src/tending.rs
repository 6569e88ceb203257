//! What is agreed of a pool beside its definition: how it is scaled, how it assigns work, when its agents begin anew,
//! and how a new blueprint is brought to them. The commands that change it, and the rows it stands in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::{AgentSpec, PoolSpec};
use crate::apart::Apart;
use crate::assignment::Assignment;
use crate::autoscale::{AutoscaleSpec, Autoscaling};
use crate::id::AgentId;
use crate::life::Life;
use crate::name::Name;
use crate::recovery::{GivenUp, Replacing};
use crate::renewal::RestartAfter;
use crate::rollout::{Blueprint, RolloutPolicy, Stage, Versions};

/// The most agents that one command lets begin anew.
pub const RENEWED_AT_ONCE: usize = crate::rollout::BATCH_MAX as usize;

/// A change of how a pool is tended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PoolCommand {
    /// Says how a pool scales by itself; not at all without.
    SetAutoscale {
        /// Which pool.
        pool: Name,
        /// By which rule.
        spec: Option<AutoscaleSpec>,
    },
    /// Scales a pool by its rule. Nothing changes if its target is another one by now.
    Autoscale {
        /// Which pool.
        pool: Name,
        /// The target that the decision was made for.
        from: u32,
        /// The new target; kept within the pool's bounds.
        to: u32,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Says after what a pool's agents begin anew; not by themselves without.
    SetRestartAfter {
        /// Which pool.
        pool: Name,
        /// After what.
        spec: Option<RestartAfter>,
    },
    /// Says how a pool assigns the tasks that are submitted to it.
    SetAssignment {
        /// Which pool.
        pool: Name,
        /// How.
        assignment: Assignment,
    },
    /// Says how a new blueprint is brought to a pool's agents whenever its definition is put; all at once without.
    SetRolling {
        /// Which pool.
        pool: Name,
        /// How.
        policy: Option<RolloutPolicy>,
    },
    /// Lets agents of a pool begin anew when they have finished what they have. Those that cannot are left out.
    RenewAgents {
        /// Which pool.
        pool: Name,
        /// Which of its agents.
        agents: Vec<AgentId>,
        /// From which version of its blueprint.
        version: u64,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Registers an agent that a node runs, and says from which version of its pool's blueprint it was started.
    RegisterAgent {
        /// What it is.
        spec: Arc<AgentSpec>,
        /// From which version.
        version: u64,
    },
    /// Brings a new blueprint to the agents of a pool.
    BeginRollout {
        /// Which pool.
        pool: Name,
        /// The blueprint.
        blueprint: Arc<Blueprint>,
        /// How.
        policy: RolloutPolicy,
    },
    /// Lets a rollout enter another stage. Nothing changes if it is elsewhere by now.
    MoveRollout {
        /// Which pool.
        pool: Name,
        /// The version that the rollout brings.
        version: u64,
        /// The stage that the decision was made in.
        from: Stage,
        /// The stage to enter.
        to: Stage,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Lets a rollout stand still: agents on their way arrive, no further ones begin anew.
    PauseRollout {
        /// Which pool.
        pool: Name,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Lets a paused rollout go on.
    ResumeRollout {
        /// Which pool.
        pool: Name,
    },
    /// Takes a rollout back: agents of the new version begin anew from the old blueprint.
    AbortRollout {
        /// Which pool.
        pool: Name,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Says of an agent that a node runs that it failed for good there: its restarts are used up.
    GiveUpAgent {
        /// Which agent.
        agent: AgentId,
        /// How it failed last.
        reason: Arc<str>,
    },
    /// Creates a pool or changes it, together with what it is kept apart from.
    Put {
        /// What it is.
        spec: Arc<PoolSpec>,
        /// What it is kept apart from.
        apart: Apart,
    },
}

/// Names a row about how a pool is tended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TendingKey {
    /// How it scales.
    Autoscaling(Name),
    /// After what its agents begin anew.
    RestartAfter(Name),
    /// How it assigns work.
    Assignment(Name),
    /// How a new blueprint is brought to its agents.
    Rolling(Name),
    /// The versions of its blueprint.
    Versions(Name),
    /// The present life of an agent.
    Life(AgentId),
    /// That an agent of a pool failed for good.
    GivenUp(Name, AgentId),
    /// How many agents of a pool were replaced by others of late.
    Replacing(Name),
    /// What a pool is kept apart from.
    Apart(Name),
}

impl TendingKey {
    /// Adds the key's bytes behind the prefix of its kind.
    pub(crate) fn extend(&self, bytes: &mut Vec<u8>) {
        let (kind, pool) = match self {
            Self::Autoscaling(pool) => (b'A', pool),
            Self::RestartAfter(pool) => (b'R', pool),
            Self::Assignment(pool) => (b'P', pool),
            Self::Rolling(pool) => (b'O', pool),
            Self::Versions(pool) => (b'V', pool),
            Self::Life(agent) => {
                bytes.push(b'L');
                bytes.extend_from_slice(&agent.raw().to_be_bytes());
                return;
            }
            Self::GivenUp(pool, agent) => {
                bytes.push(b'G');
                bytes.extend_from_slice(pool.as_str().as_bytes());
                // A name holds no zero byte, so it ends where the id begins.
                bytes.push(0);
                bytes.extend_from_slice(&agent.raw().to_be_bytes());
                return;
            }
            Self::Replacing(pool) => (b'N', pool),
            // Keeping a distance.
            Self::Apart(pool) => (b'K', pool),
        };
        bytes.push(kind);
        bytes.extend_from_slice(pool.as_str().as_bytes());
    }
}

/// The content of such a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TendingRow {
    /// How a pool scales.
    Autoscaling(Name, Autoscaling),
    /// After what its agents begin anew.
    RestartAfter(Name, RestartAfter),
    /// How it assigns work.
    Assignment(Name, Assignment),
    /// How a new blueprint is brought to its agents.
    Rolling(Name, RolloutPolicy),
    /// The versions of its blueprint.
    Versions(Name, Versions),
    /// The present life of an agent.
    Life(AgentId, Life),
    /// That an agent of a pool failed for good.
    GivenUp(Name, AgentId, GivenUp),
    /// How many agents of a pool were replaced by others of late.
    Replacing(Name, Replacing),
    /// What a pool is kept apart from.
    Apart(Name, Apart),
}
