//! What happens in a world besides its faults, and how closely it is looked at.
//!
//! A world of clients draws what they ask until its time is over. A story of its own has an end that it finds itself:
//! a fleet whose work has ended, a recording that was played. Its nodes then have the limits that real ones have.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::limits::Limits;
use synod::node::{Builder, Error, Policy};

use crate::agent::ScriptedAgent;
use crate::faults::Fault;
use crate::fleet::{self, Stage};
use crate::host::{AGEING, CHECKPOINTS, GRACE, SNAPSHOT_ENTRIES};
use crate::machine::Machine;
use crate::replay::Reel;
use crate::workload::{self, Workload, Workloads};

/// One step of simulated time for a node that stands alone: the resolution of tokio's timers.
const STEP: Duration = Duration::from_millis(1);

/// One step with several nodes: what one says to another takes one at least, as on a slow network, and a world goes
/// three times faster than with shorter ones. Timers within a step keep their order and their time.
const STEP_OF_MANY: Duration = Duration::from_millis(5);

/// How often a host looks at the world's phase, and an observer whether its node has caught up.
const LOOK: Duration = Duration::from_millis(10);

/// How often the states of nodes that stand abreast are hashed and compared: rarely, because each is hashed whole.
const HASH_EVERY: Duration = Duration::from_secs(1);

/// What happens in a world.
#[derive(Debug, Clone)]
pub(crate) enum Story {
    /// Clients ask for these things, drawn from the seed, until the time is over.
    Clients(Workloads),
    /// A fleet does its work.
    Fleet(Arc<Stage>),
    /// What happened elsewhere happens again.
    Replay(Arc<Reel>),
}

/// How closely a world is looked at: the closer, the slower it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// One step of simulated time.
    pub(crate) step: Duration,
    /// How often hosts look around.
    pub(crate) look: Duration,
    /// How often states are hashed.
    pub(crate) hash_every: Duration,
}

impl Story {
    /// Tells whether the story ends by itself, and not with the time of the world.
    pub(crate) const fn ends_itself(&self) -> bool {
        match self {
            Self::Clients(_) => false,
            Self::Fleet(_) | Self::Replay(_) => true,
        }
    }

    /// Tells whether agents take their machines down with them.
    pub(crate) fn is_deadly(&self) -> bool {
        match self {
            Self::Clients(workloads) => workloads.has(Workload::Deadly),
            Self::Fleet(_) | Self::Replay(_) => false,
        }
    }

    /// Says how closely a world of so many nodes is looked at.
    pub(crate) fn pace(&self, nodes: u64) -> Pace {
        let step = if nodes > 1 { STEP_OF_MANY } else { STEP };
        let close = Pace { step, look: LOOK, hash_every: HASH_EVERY };
        match self {
            Self::Clients(_) | Self::Replay(_) => close,
            Self::Fleet(stage) => stage.pace(close),
        }
    }

    /// Returns the faults that belong to the story.
    pub(crate) fn plan(&self, nodes: u64) -> Vec<(Duration, Fault)> {
        match self {
            Self::Clients(_) => Vec::new(),
            Self::Fleet(stage) => fleet::plan(stage, nodes),
            Self::Replay(reel) => reel.score.plan(nodes),
        }
    }

    /// Gives a node its agents, limits and policy.
    pub(crate) fn equip(&self, machine: &Machine, builder: Builder) -> Result<Builder, Error> {
        let brief = || Limits { grace: GRACE, ageing: AGEING, ..Limits::default() };
        let tight = || Policy {
            snapshot_log_entries: SNAPSHOT_ENTRIES,
            checkpoint_interval: CHECKPOINTS,
            ..Policy::default()
        };
        match self {
            Self::Clients(_) => builder
                .limits(brief())
                .policy(tight())
                .native(workload::NATIVE, ScriptedAgent(machine.history.clone(), machine.streams)),
            Self::Fleet(stage) => stage.equip(machine, builder),
            Self::Replay(_) => {
                builder.native(workload::NATIVE, ScriptedAgent(machine.history.clone(), machine.streams))
            }
        }
    }
}
