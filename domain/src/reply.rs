//! What a command answers once it is durable and applied.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, TaskId};
use crate::policy::Ruled;
use crate::refusal::Refusal;
use crate::task::{Phase, TaskSpec};
use crate::time::Timestamp;

/// The answer to one request.
pub type Answer = Result<Reply, Refusal>;

/// What an accepted command answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Nothing more to say.
    Done,
    /// The task that the submit, or the same submit before it, made.
    Submitted {
        /// The task.
        task: TaskId,
        /// Whether an earlier submit made it.
        duplicate: bool,
    },
    /// The leases that the claim granted, most urgent first; none when nothing fits.
    Claimed(Vec<Assignment>),
    /// The task is over; this is how. The same attempt gets the same answer again.
    Ended {
        /// How it ended.
        phase: Phase,
    },
    /// The attempt failed and the task goes back to wait.
    WillRetry {
        /// When it is taken up again at the earliest.
        until: Timestamp,
    },
    /// The node is a member of the cluster.
    Admitted {
        /// What it is called in the Raft group.
        number: u64,
    },
    /// What policies say to a question.
    Ruled(Box<Ruled>),
}

/// One leased task in the hands of its agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// What to do.
    pub spec: Arc<TaskSpec>,
    /// Who has it.
    pub agent: AgentId,
    /// The fencing token for every write about it.
    pub attempt: u32,
    /// When the lease ends unless renewed.
    pub expires_at: Timestamp,
}

/// What is remembered of an applied request, to answer it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// It answered that it was done.
    Done,
    /// It made this task.
    Submitted(TaskId),
    /// It was granted these leases.
    Claimed(Vec<(TaskId, u32)>),
    /// It ended its task.
    Ended(Phase),
    /// Its attempt failed and was to be retried.
    WillRetry(Timestamp),
    /// It found this task, made by an earlier submit.
    Duplicate(TaskId),
    /// It admitted a node under this number.
    Admitted(u64),
    /// Policies said this to it.
    Ruled(Box<Ruled>),
}
