//! A task and its life.
//!
//! ```text
//!            submit                    claim                    start
//!  (nothing) ──────► pending ────────────────► scheduled ─────────────► running
//!                      ▲  │                      │    │                  │   │
//!                      │  │     lease lost, retry│    │                  │   │
//!                      └──┼──────────────────────┴────┼──────────────────┘   │
//!                         ▼                           ▼                      ▼
//!                timed_out, cancelled         completed, failed, timed_out, cancelled
//! ```
//!
//! A task ends once. Every end has a reason that a person can read. The transitions themselves are in
//! [`crate::state`]; this file says what a task is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::id::{AgentId, RunId, TaskId};
use crate::name::Name;
use crate::parking::Parking;
use crate::payload::Payload;
use crate::region::Forwarding;
use crate::retry::RetryPolicy;
use crate::time::Timestamp;

/// How many attempts a task remembers in detail; the oldest are dropped first. Each takes some 100 bytes.
pub const ATTEMPTS_KEPT: usize = 16;

/// The longest reason kept, in bytes; longer ones keep their end, where the error usually stands.
pub const REASON_BYTES_MAX: usize = 4096;

/// The four lanes of a mailbox, most urgent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Before everything else.
    Critical,
    /// Before ordinary work.
    High,
    /// Ordinary work.
    #[default]
    Normal,
    /// When nothing else waits; ageing makes it rise.
    Low,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// Returns the lane above, or `None` from the top.
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::Critical => None,
            Self::High => Some(Self::Critical),
            Self::Normal => Some(Self::High),
            Self::Low => Some(Self::Normal),
        }
    }

    /// Returns the place of the lane, 0 for the most urgent.
    pub const fn rank(self) -> usize {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// Returns the lane's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which mailbox a task waits in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailboxId {
    /// The mailbox of one agent.
    Agent(AgentId),
    /// The mailbox of a pool, shared by its agents.
    Pool(Name),
    /// The mailbox of work that names neither; any agent with the capabilities may take it.
    Open,
}

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(f, "{agent}"),
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Open => f.write_str("open"),
        }
    }
}

/// How long a task may take; `None` means for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From submit to the first start (schedule-to-start). When it passes, the task is timed out.
    pub waiting: Option<Duration>,
    /// From the start of an attempt to its end (start-to-close). When it passes, the attempt has failed.
    pub running: Option<Duration>,
    /// Between two heartbeats of an attempt. When it passes, the attempt has failed.
    pub silence: Option<Duration>,
}

/// What was asked for. Never changes after submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The task's id, made by whoever proposes the submit.
    pub id: TaskId,
    /// Whose work it is.
    pub workspace: Name,
    /// What sort of work it is, for people, filters and breakers.
    pub kind: Name,
    /// Where it waits.
    pub mailbox: MailboxId,
    /// What the agent must be able to do.
    pub demand: Capabilities,
    /// How urgent it is.
    pub lane: Lane,
    /// When it must have ended (schedule-to-close); also the order within a lane.
    pub deadline: Option<Timestamp>,
    /// The other three timeouts.
    pub timeouts: Timeouts,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// What the agent is given.
    pub payload: Payload,
    /// The client's own name for this submit, unique in the workspace while the task is remembered.
    pub idempotency_key: Option<Arc<str>>,
    /// What people filter by.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// The run of a fleet file it belongs to.
    pub run: Option<RunId>,
    /// The dead letter it was made from.
    pub redriven_from: Option<TaskId>,
    /// What its owner attached, as JSON text; never looked at. At most
    /// [`METADATA_BYTES_MAX`](crate::payload::METADATA_BYTES_MAX) bytes.
    pub metadata: Option<Arc<str>>,
}

impl TaskSpec {
    /// Returns how many bytes of payload and metadata it takes in memory and in the log.
    pub fn weight(&self) -> usize {
        self.payload.weight() + self.metadata.as_ref().map_or(0, |metadata| metadata.len())
    }
}

/// The exclusive right to work on a task, until it expires or is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub agent: AgentId,
    /// The fencing token: every write about the task must carry it.
    pub attempt: u32,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ends unless renewed by a heartbeat.
    pub expires_at: Timestamp,
    /// The last heartbeat, or the grant.
    pub heard_at: Timestamp,
}

/// Where a task is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskStatus {
    /// In its mailbox since `since`.
    Waiting {
        /// When it entered its present lane.
        since: Timestamp,
    },
    /// Failed before; enters its mailbox at `until`.
    BackingOff {
        /// When the backoff is over.
        until: Timestamp,
    },
    /// Leased, not started.
    Scheduled {
        /// Who has it.
        lease: Lease,
    },
    /// Being worked on.
    Running {
        /// Who has it.
        lease: Lease,
        /// When work began.
        started_at: Timestamp,
    },
    /// Over.
    Ended(End),
    /// Kept until another region has it; in no mailbox here.
    Kept {
        /// Where it shall go, and how far that is.
        forwarding: Box<Forwarding>,
    },
    /// Its turn had come, and something holds it back; in no mailbox meanwhile.
    Parked {
        /// What, and since when.
        parking: Box<Parking>,
    },
}

/// How and when a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// The four ends of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done; here is the result.
    Completed {
        /// What the agent gave back.
        result: Payload,
    },
    /// Given up after its last attempt; it is a dead letter until redriven or purged.
    Failed {
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// A timeout passed and no attempt is left, or no time is.
    TimedOut {
        /// Which one, for a person.
        reason: Arc<str>,
    },
    /// Somebody called it off.
    Cancelled {
        /// Who or why, for a person.
        reason: Arc<str>,
    },
}

/// The word for each state of a task, as people and clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits in a mailbox or for its backoff.
    Pending,
    /// Leased, not started.
    Scheduled,
    /// Being worked on.
    Running,
    /// Ended with a result.
    Completed,
    /// Ended as a dead letter.
    Failed,
    /// Ended by a timeout.
    TimedOut,
    /// Ended by a cancel.
    Cancelled,
}

impl Phase {
    /// Tells whether the task is over.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled)
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Outcome {
    /// Returns the word for this end.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Completed { .. } => Phase::Completed,
            Self::Failed { .. } => Phase::Failed,
            Self::TimedOut { .. } => Phase::TimedOut,
            Self::Cancelled { .. } => Phase::Cancelled,
        }
    }

    /// Returns the reason of an end that is not a completion.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Completed { .. } => None,
            Self::Failed { reason } | Self::TimedOut { reason } | Self::Cancelled { reason } => Some(reason),
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// It gave the result.
    Completed,
    /// It failed for this reason.
    Failed(Arc<str>),
    /// Its lease ended without a word: the agent or its node was lost.
    Lost(Arc<str>),
    /// The task was called off or ran out of time as a whole.
    Stopped,
}

/// One attempt, for people who ask what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Who made it.
    pub agent: AgentId,
    /// When it was leased.
    pub leased_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: AttemptEnd,
}

/// How far an attempt says it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: Option<u8>,
    /// For a person.
    pub message: Option<Arc<str>>,
}

/// What attempts said they used, summed over all attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Cost in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// A task: what was asked for and how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What was asked for.
    pub spec: Arc<TaskSpec>,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// Its place in the order of submits; kept for life, so that redelivered work goes back to its place.
    pub sequence: u64,
    /// The lane it is in, at or above the one it asked for.
    pub lane: Lane,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// When an attempt first started work on it.
    pub first_started_at: Option<Timestamp>,
    /// The number of the last lease; 0 before the first.
    pub attempt: u32,
    /// How many attempts failed; counts against the retry policy.
    pub failures: u32,
    /// How many leases were lost with their agent or node; bounded apart from failures.
    pub losses: u32,
    /// The last attempts, oldest first, at most [`ATTEMPTS_KEPT`].
    pub attempts: Vec<Attempt>,
    /// What the running attempt last said of itself.
    pub progress: Option<Progress>,
    /// What all attempts used.
    pub usage: Usage,
}

impl Task {
    /// Returns the word for where the task is.
    pub const fn phase(&self) -> Phase {
        match &self.status {
            TaskStatus::Waiting { .. }
            | TaskStatus::BackingOff { .. }
            | TaskStatus::Kept { .. }
            | TaskStatus::Parked { .. } => Phase::Pending,
            TaskStatus::Scheduled { .. } => Phase::Scheduled,
            TaskStatus::Running { .. } => Phase::Running,
            TaskStatus::Ended(end) => end.outcome.phase(),
        }
    }

    /// Returns the valid lease, if somebody holds one.
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.status {
            TaskStatus::Scheduled { lease } | TaskStatus::Running { lease, .. } => Some(lease),
            TaskStatus::Waiting { .. }
            | TaskStatus::BackingOff { .. }
            | TaskStatus::Ended(_)
            | TaskStatus::Kept { .. }
            | TaskStatus::Parked { .. } => None,
        }
    }

    /// Returns where the task shall go and how far that is, if it is kept for another region.
    pub const fn forwarding(&self) -> Option<&Forwarding> {
        match &self.status {
            TaskStatus::Kept { forwarding } => Some(forwarding),
            TaskStatus::Waiting { .. }
            | TaskStatus::BackingOff { .. }
            | TaskStatus::Scheduled { .. }
            | TaskStatus::Running { .. }
            | TaskStatus::Ended(_)
            | TaskStatus::Parked { .. } => None,
        }
    }

    /// Returns the mailbox of this region that it is for; none while it is kept for another.
    pub fn mailbox_here(&self) -> Option<&MailboxId> {
        if self.forwarding().is_some() { None } else { Some(&self.spec.mailbox) }
    }

    /// Returns what holds it back although its turn had come, if something does.
    pub const fn parking(&self) -> Option<&Parking> {
        match &self.status {
            TaskStatus::Parked { parking } => Some(parking),
            _ => None,
        }
    }

    /// Returns how it ended, if it has.
    pub const fn end(&self) -> Option<&End> {
        match &self.status {
            TaskStatus::Ended(end) => Some(end),
            _ => None,
        }
    }
}

/// Shortens a reason to [`REASON_BYTES_MAX`] bytes, keeping its end.
pub fn bounded_reason(reason: &str) -> Arc<str> {
    if reason.len() <= REASON_BYTES_MAX {
        return reason.into();
    }
    let mut start = reason.len() - REASON_BYTES_MAX;
    while !reason.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &reason[start..]).into()
}
