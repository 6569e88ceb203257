//! Why a command was refused.
//!
//! A refusal leaves the state as it was. Each has a stable code for programs, a text that says what
//! and why, and a hint that says what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, RunId, TaskId};
use crate::name::Name;
use crate::task::Phase;

/// Which bound was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// Tasks in one mailbox.
    Mailbox(String),
    /// Tasks of one workspace.
    Workspace(Name),
    /// Tasks in all.
    Node,
    /// Bytes of payload in memory.
    PayloadBytes,
}

/// Why a command was refused; the state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// There is no such task among those that have not ended long ago.
    #[error("there is no unfinished task {0}")]
    TaskUnknown(TaskId),
    /// The task is over.
    #[error("{task} has already ended: it is {phase}")]
    AlreadyEnded {
        /// Which task.
        task: TaskId,
        /// How it ended.
        phase: Phase,
    },
    /// The writer's lease is not the valid one.
    #[error("attempt {attempt} holds no lease on {task}")]
    LeaseLost {
        /// Which task.
        task: TaskId,
        /// The attempt that wrote.
        attempt: u32,
    },
    /// A depth limit is reached.
    #[error("{bound} is full: its limit is {limit}")]
    Full {
        /// Which bound.
        bound: Bound,
        /// Its limit.
        limit: u64,
    },
    /// The key was used for another task.
    #[error("the idempotency key belongs to {task}, whose content differs")]
    IdempotencyConflict {
        /// The task that has the key.
        task: TaskId,
    },
    /// A task of that id exists.
    #[error("{0} exists already")]
    TaskExists(TaskId),
    /// There is no such agent.
    #[error("there is no agent {0}")]
    AgentUnknown(AgentId),
    /// The agent takes no work in its present standing.
    #[error("{agent} takes no work: it is {status}")]
    AgentUnavailable {
        /// Which agent.
        agent: AgentId,
        /// Its status, in words.
        status: String,
    },
    /// There is no such pool.
    #[error("there is no pool {0}")]
    PoolUnknown(Name),
    /// The pool still has agents or waiting work.
    #[error("pool {pool} still has {agents} agents and {waiting} waiting tasks")]
    PoolInUse {
        /// Which pool.
        pool: Name,
        /// Its agents.
        agents: u64,
        /// Its waiting tasks.
        waiting: u64,
    },
    /// There is no such run.
    #[error("there is no open run {0}")]
    RunUnknown(RunId),
    /// The fleet has an open run already.
    #[error("fleet {fleet} already has the open run {run}")]
    RunOpen {
        /// Which fleet.
        fleet: Name,
        /// Its open run.
        run: RunId,
    },
    /// A field of the command is outside its bounds.
    #[error("{field} is not valid: {why}")]
    Invalid {
        /// Which field.
        field: String,
        /// Why.
        why: String,
    },
}

impl Refusal {
    /// Returns the stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TaskUnknown(_) => "task_unknown",
            Self::AlreadyEnded { .. } => "already_ended",
            Self::LeaseLost { .. } => "lease_lost",
            Self::Full { .. } => "full",
            Self::IdempotencyConflict { .. } => "idempotency_conflict",
            Self::TaskExists(_) => "task_exists",
            Self::AgentUnknown(_) => "agent_unknown",
            Self::AgentUnavailable { .. } => "agent_unavailable",
            Self::PoolUnknown(_) => "pool_unknown",
            Self::PoolInUse { .. } => "pool_in_use",
            Self::RunUnknown(_) => "run_unknown",
            Self::RunOpen { .. } => "run_open",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// Returns what to do about it, for a person.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TaskUnknown(_) => "check the id; an ended task is found in history",
            Self::AlreadyEnded { .. } => "nothing is left to do; read the task to see how it ended",
            Self::LeaseLost { .. } => "stop this attempt and drop its result; another attempt has the task",
            Self::Full { .. } => "wait and submit again, or raise the limit",
            Self::IdempotencyConflict { .. } => "use a new key for new work, or send the same content",
            Self::TaskExists(_) => "make a new id for new work",
            Self::AgentUnknown(_) => "register the agent first",
            Self::AgentUnavailable { .. } => "wait until it is READY, or use another agent",
            Self::PoolUnknown(_) => "create the pool first, or correct its name",
            Self::PoolInUse { .. } => "scale it to 0 and wait, or cancel its tasks",
            Self::RunUnknown(_) => "the run has ended; start a new one",
            Self::RunOpen { .. } => "continue it, or end it first",
            Self::Invalid { .. } => "correct the field and send again",
        }
    }

    /// Tells whether the same command may succeed later.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::AgentUnavailable { .. } | Self::PoolInUse { .. })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "mailbox {mailbox}"),
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
            Self::Node => f.write_str("the node"),
            Self::PayloadBytes => f.write_str("the memory for payloads"),
        }
    }
}
