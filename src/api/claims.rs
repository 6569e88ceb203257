//! Claiming tasks, and what the holder of a lease says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Json, Progress, Task, TaskStatus, Usage};

/// Asks for work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who asks, by id or name.
    #[schema(example = "builder-1")]
    pub agent_id: String,
    /// What it offers for this claim; what it registered if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// How many tasks at most, from 1 to 100.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    pub max: u32,
    /// How long to wait for work if there is none; at most 60 000.
    #[serde(default)]
    #[schema(maximum = 60000)]
    pub wait_ms: u64,
    /// Whether the claim also starts the tasks; otherwise each is started by its holder.
    #[serde(default = "yes")]
    pub start: bool,
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

/// The exclusive right to work on a task, until it expires or is given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Who holds it.
    pub agent: String,
    /// The fencing token: every write about the task carries it.
    pub attempt: u32,
    /// When it was granted.
    pub granted_at: String,
    /// When it ends unless renewed; absent when silence does not end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The last heartbeat, or the grant.
    pub heard_at: String,
    /// When the attempt is stopped unless it ends before, because it used more than a budget leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_budget_at: Option<String>,
}

/// A task in the hands of its claimer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeasedTask {
    /// What to do, payload included.
    pub task: Task,
    /// The fencing token for every write about it.
    pub attempt: u32,
    /// When the lease ends unless renewed by a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// What a claim answers; no tasks when none came up in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Claimed {
    /// The leased tasks, most urgent first.
    pub tasks: Vec<LeasedTask>,
}

/// Says that work has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTask {
    /// Under which lease.
    pub attempt: u32,
}

/// Renews a lease and says how far the work is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatTask {
    /// Under which lease.
    pub attempt: u32,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What it has used since it began. Budgets count it at once; the end of the attempt need not say it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// With which model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Ends a task with its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Under which lease.
    pub attempt: u32,
    /// What came out: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// What the attempt used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What a completion answers; the same again when the same attempt completes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Completed {
    /// How the task ended.
    pub status: TaskStatus,
}

/// Ends several tasks, each as if alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteMany {
    /// At most 1000.
    pub items: Vec<CompleteOne>,
}

/// One task of a batch of completions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteOne {
    /// Which task.
    pub task_id: String,
    /// Under which lease.
    pub attempt: u32,
    /// What came out: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// What the attempt used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What a batch of completions answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletedMany {
    /// One for each item, in order.
    pub items: Vec<CompletedOne>,
}

/// What one completion of a batch answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletedOne {
    /// How the task ended; absent when the completion was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<super::Problem>,
}

/// Ends an attempt without a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// Under which lease.
    pub attempt: u32,
    /// Why, for a person.
    #[schema(example = "the tests did not pass")]
    pub reason: String,
    /// Whether another attempt makes sense; `false` makes it a dead letter at once.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// What the attempt used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Says that the provider refused for now, and how long it wants to be left alone: no failure is counted, the task
    /// is tried again, and nothing of its account is given out meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited_for_ms: Option<u64>,
}

/// What a failure answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Failed {
    /// `pending` when it will be tried again, else how the task ended.
    pub status: TaskStatus,
    /// When it is tried again at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
}

/// Gives a lease back unused: the work is not at fault and waits in its place again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Under which lease.
    pub attempt: u32,
    /// Why, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a long poll for an end answers: the task as it is when it has ended or the wait is over.
pub type Ended = Task;
