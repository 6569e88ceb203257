//! Why a task waits, runs or has ended: one cause, as data for programs and as a sentence for people.
//!
//! The sentence says what to do next where somebody can do something. The cause is found by
//! [`State::why`](crate::state::State::why); variants are only appended, and programs must bear with new ones.

mod sentence;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::agent::AgentStatus;
use crate::capability::Capabilities;
use crate::id::AgentId;
use crate::mailbox_path;
use crate::name::Name;
use crate::parking::{self, ParkedOn};
use crate::pause::{self, Pausable};
use crate::spread::Shortfall;
use crate::task::{AttemptEnd, Lane, MailboxId, Phase, Progress, Task};
use crate::time::Timestamp;

/// The cause of how a task stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Why {
    /// Nobody at all takes from its mailbox.
    NoAgent {
        /// Where it waits.
        #[serde(serialize_with = "mailbox_path::text::serialize")]
        mailbox: MailboxId,
    },
    /// Nobody who takes from its mailbox registered everything that it asks for.
    NoCapableAgent {
        /// What it asks for.
        demand: Capabilities,
        /// What of it none of them offers; empty when each part is offered, but not all by one agent.
        missing: Capabilities,
        /// How many agents were looked at.
        looked_at: usize,
    },
    /// Those who could do it take no work.
    AgentsNotReady {
        /// How many could do it.
        capable: usize,
        /// How many of them are being started.
        starting: usize,
        /// How many of them finish what they have and take nothing new.
        draining: usize,
        /// How many of them are gone.
        offline: usize,
        /// How many of them are broken.
        failed: usize,
        /// One of them, the least far from taking work.
        example: Example,
    },
    /// Those who could do it have no free slot.
    AgentsBusy {
        /// How many could do it and take work.
        capable: usize,
        /// How many tasks may be taken before it.
        ahead: usize,
    },
    /// Others have their turn first.
    Behind {
        /// How many tasks of its lane may be taken before it, at most.
        ahead: usize,
        /// Its lane.
        lane: Lane,
        /// How many tasks wait in lanes above it.
        above: usize,
        /// How many agents with a free slot could do it.
        free: usize,
    },
    /// It is not given out.
    Paused {
        /// What is paused.
        #[serde(serialize_with = "pause::text::serialize")]
        what: Pausable,
        /// Why.
        reason: Arc<str>,
        /// Since when.
        since: Timestamp,
    },
    /// Its last attempt failed, and it waits before the next.
    BackingOff {
        /// Until when.
        until: Timestamp,
        /// How many attempts failed.
        failures: u32,
        /// How many attempts it has in all.
        of: u32,
        /// How the last one ended.
        last_reason: Option<Arc<str>>,
    },
    /// Its pool is about to have agents for it.
    PoolGrowing {
        /// Which pool.
        pool: Name,
        /// How many agents it should have.
        target: u32,
    },
    /// An agent has it and has not begun.
    Leased {
        /// Who.
        agent: AgentId,
        /// Under which attempt.
        attempt: u32,
        /// Since when.
        since: Timestamp,
        /// When the lease ends unless renewed.
        until: Timestamp,
    },
    /// An agent works on it.
    Running {
        /// Who.
        agent: AgentId,
        /// Under which attempt.
        attempt: u32,
        /// Since when.
        since: Timestamp,
        /// When the lease ends unless renewed.
        until: Timestamp,
        /// When the attempt was last heard of.
        heard_at: Timestamp,
        /// How far it says it is.
        progress: Option<Progress>,
    },
    /// It is over.
    Ended {
        /// How.
        phase: Phase,
        /// When.
        at: Timestamp,
        /// Why, unless it completed.
        reason: Option<Arc<str>>,
        /// How often it was leased.
        attempts: u32,
    },
    /// Its pool has no agent that could be given work, because of the nodes.
    PoolUnplaced {
        /// Which pool.
        pool: Name,
        /// How many agents it should have.
        target: u32,
        /// What it lacks.
        shortfall: Shortfall,
    },
    /// Those who could do it have no free slot, and its pool has fewer agents than it should.
    PoolDegraded {
        /// Which pool.
        pool: Name,
        /// How many agents it should have.
        target: u32,
        /// What it lacks.
        shortfall: Shortfall,
        /// How many could do it and take work.
        capable: usize,
        /// How many tasks may be taken before it.
        ahead: usize,
    },
    /// Those who could do it are kept in reserve.
    AgentsOnStandby {
        /// How many could do it.
        capable: usize,
        /// One of them.
        example: Example,
    },
    /// It is kept for another region.
    Kept {
        /// Which region.
        region: Name,
        /// Where it may go instead.
        fallbacks: Vec<Name>,
        /// The region that it was offered to, which may have it.
        offered: Option<Name>,
        /// Those that do not take it, and why.
        refused: BTreeMap<Name, Arc<str>>,
        /// Since when the region that it was offered to is removed, if it is.
        removed: Option<Timestamp>,
    },
    /// Its turn had come, and something holds it back.
    HeldBack {
        /// What.
        #[serde(serialize_with = "parking::text::serialize")]
        on: ParkedOn,
        /// Since when.
        since: Timestamp,
        /// When it is looked at again by itself, if that is known.
        until: Option<Timestamp>,
        /// What it lacks and what to do, for a person.
        hint: Arc<str>,
    },
    /// Its pool would have more agents, and the fabric has as many as it may.
    FabricFull {
        /// Which pool.
        pool: Name,
        /// How many agents it has, or shall have.
        target: u32,
        /// How many agents the fabric may have.
        limit: u32,
    },
}

/// An agent that could do a task and takes no work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Which.
    pub agent: AgentId,
    /// What people call it.
    pub name: Name,
    /// What it is.
    pub status: AgentStatus,
    /// Why.
    pub reason: Arc<str>,
}

impl Why {
    /// Says why a task ended; also for one that is in history. `None` when it has not ended.
    pub fn of_ended(task: &Task) -> Option<Self> {
        let end = task.end()?;
        Some(Self::Ended {
            phase: end.outcome.phase(),
            at: end.at,
            reason: end.outcome.reason().map(Arc::from),
            attempts: task.attempt,
        })
    }

    /// Returns the stable word for the cause; the `cause` of its JSON.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoAgent { .. } => "no_agent",
            Self::NoCapableAgent { .. } => "no_capable_agent",
            Self::AgentsNotReady { .. } => "agents_not_ready",
            Self::AgentsBusy { .. } => "agents_busy",
            Self::Behind { .. } => "behind",
            Self::Paused { .. } => "paused",
            Self::BackingOff { .. } => "backing_off",
            Self::PoolGrowing { .. } => "pool_growing",
            Self::Leased { .. } => "leased",
            Self::Running { .. } => "running",
            Self::Ended { .. } => "ended",
            Self::PoolUnplaced { .. } => "pool_unplaced",
            Self::PoolDegraded { .. } => "pool_degraded",
            Self::AgentsOnStandby { .. } => "agents_on_standby",
            Self::Kept { .. } => "kept",
            Self::HeldBack { .. } => "held_back",
            Self::FabricFull { .. } => "fabric_full",
        }
    }
}

/// Returns what the last attempt of a task left as its reason.
pub(crate) fn last_reason(task: &Task) -> Option<Arc<str>> {
    match &task.attempts.last()?.end {
        AttemptEnd::Failed(reason) | AttemptEnd::Lost(reason) => Some(reason.clone()),
        AttemptEnd::Completed | AttemptEnd::Stopped => None,
    }
}
