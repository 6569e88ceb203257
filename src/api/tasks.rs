//! Tasks: submitting them, and what is shown of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Estimate, Json, Lease, OverBudget};

/// How urgent a task is; one lane of the mailbox each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before everything else.
    #[serde(alias = "urgent")]
    Critical,
    /// Before ordinary work.
    High,
    /// Ordinary work.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
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
    /// Called off.
    Cancelled,
}

impl TaskStatus {
    /// All, in order of life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Scheduled,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

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

    /// Tells whether the task is over.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled)
    }
}

/// How much it matters in which region a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Not at all: it stays in the region where it is submitted.
    Any,
    /// It goes to its region, to the first fallback within reach otherwise, and is kept where it was submitted until then.
    Preferred,
    /// It is in its region or nowhere, and nothing of it is kept elsewhere.
    Strict,
}

/// Where a task shall go that is kept for another region, and how far that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Kept {
    /// The region that it is for.
    #[schema(example = "eu")]
    pub region: String,
    /// Where it may go instead.
    pub fallback_regions: Vec<String>,
    /// How much that matters.
    pub routing: Routing,
    /// The region that it was offered to and that has not answered; it may have the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_to: Option<String>,
    /// Why regions did not take it, by region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
}

/// When failed attempts are repeated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How many attempts in all, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4, minimum = 1, maximum = 1000)]
    pub max_attempts: Option<u32>,
    /// The first backoff; longer for each further one, with jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1000)]
    pub backoff_ms: Option<u64>,
    /// The longest backoff.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 60000)]
    pub backoff_max_ms: Option<u64>,
    /// What the backoff is multiplied by after each further failure, in hundredths; 200 if left out, which doubles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 150, minimum = 100, maximum = 10000)]
    pub backoff_factor_percent: Option<u32>,
}

/// A task to submit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewTask {
    /// What sort of work it is; the only field that must be given.
    #[serde(rename = "type")]
    #[schema(example = "review")]
    pub kind: String,
    /// What the agent is given: any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// The pool it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The agent it is for, by id or name. With neither pool nor agent, any agent that can do it may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What the agent must offer: `name` or `name@version`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["rust"]))]
    pub required_capabilities: Vec<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// Whose work it is; `default` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What people filter by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the submitter keeps with it: any JSON up to 16 KiB, never looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// By when it must have ended, from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// How long it may wait before its first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_timeout_ms: Option<u64>,
    /// How long one attempt may run; 300 000 if left out, 0 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 300000)]
    pub running_timeout_ms: Option<u64>,
    /// How long an attempt may be silent between heartbeats; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_timeout_ms: Option<u64>,
    /// When failed attempts are repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The open run of a fleet file that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The client's own name for this submit, unique in its workspace: the same key answers with the same
    /// task. The header `Idempotency-Key` means the same for a single task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The region that it is for; the one where it is submitted if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where it may go while its region cannot be reached, the first first; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback_regions: Vec<String>,
    /// How much its region matters; `preferred` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// The tasks that have to complete first; when one of them does not, this one fails with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How much of which resource it needs while an agent has it; all of it at once, or it waits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, u64>,
    /// How long it may wait for its resources; for ever if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources_timeout_ms: Option<u64>,
    /// What one attempt is expected to use; reserved in its budgets before it is given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The account of a provider that it is charged to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The model that it uses, for reports of usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What becomes of it when a budget has too little left for it; `wait` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_budget: Option<OverBudget>,
}

/// What a submit takes: one task, or up to 1000 of them. A batch is answered in order, each task for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum NewTasks {
    /// One task; answered by one `Submitted`.
    One(Box<NewTask>),
    /// Several; answered by a list of `Submitted`, one for each.
    Many(Vec<NewTask>),
}

/// What a submit answers, once the task is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The task; absent when this one of a batch was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Whether an earlier submit with the same key made it.
    pub duplicate: bool,
    /// The region that has it, when it was handed through to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Why this one of a batch was refused; the others of the batch stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<super::Problem>,
}

/// What a submit of one task, or of several, answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SubmittedAll {
    /// To one task.
    One(Submitted),
    /// To several, in their order.
    Many(Vec<Submitted>),
}

/// How far an attempt says it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Progress {
    /// 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub percent: Option<u8>,
    /// For a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What attempts said they used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Cost in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Who made it.
    pub agent: String,
    /// When it was leased.
    pub leased_at: String,
    /// When it ended.
    pub ended_at: String,
    /// `completed`, `failed`, `lost` or `stopped`.
    pub end: String,
    /// Why, where there is a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Names it for ever.
    #[schema(example = "task_01k00000000000000000000000")]
    pub id: String,
    /// What sort of work it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whose work it is.
    pub workspace: String,
    /// The pool it is addressed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The agent it is addressed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The region where it is.
    #[serde(default)]
    #[schema(example = "default")]
    pub region: String,
    /// The region that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_region: Option<String>,
    /// `strict` when what the task holds is shown in its region alone and was asked for through another one: labels,
    /// metadata, payload, result, the words of its progress and reasons are left out. Ask a node of `region` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "strict")]
    pub withheld: Option<String>,
    /// Where it shall go, while it is kept here for another region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_for: Option<Kept>,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// How urgent it was submitted.
    pub priority: Priority,
    /// The lane it is in: waiting makes it rise.
    pub lane: Priority,
    /// What the agent must offer.
    pub required_capabilities: Vec<String>,
    /// What people filter by.
    pub labels: BTreeMap<String, String>,
    /// What the submitter keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// What the agent is given; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// Size of the payload in bytes.
    pub payload_bytes: u64,
    /// When it was accepted.
    pub submitted_at: String,
    /// When an attempt first started work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// When its backoff is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// How long it may wait before its first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_timeout_ms: Option<u64>,
    /// How long one attempt may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_timeout_ms: Option<u64>,
    /// How long an attempt may be silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_timeout_ms: Option<u64>,
    /// The number of the last lease; 0 before the first.
    pub attempt: u32,
    /// How many attempts it may have in all.
    pub max_attempts: u32,
    /// How many attempts failed.
    pub failures: u32,
    /// How many leases were lost with their agent.
    pub losses: u32,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// How far the attempt says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What all attempts used.
    pub usage: Usage,
    /// Why it ended as it did, unless it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What came out; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// The last attempts that are over, oldest first.
    pub attempts: Vec<Attempt>,
    /// The run of a fleet file it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The dead letter it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven_from: Option<String>,
}

/// A task that ended as a dead letter and waits for somebody to redrive or purge it.
pub type DeadLetter = Task;

/// Calls a task off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    /// Why, for whoever looks later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Moves a waiting task to another lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPriority {
    /// The lane.
    pub priority: Priority,
}

/// What a redrive answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Redrive {
    /// The new task that the dead letter became.
    pub task_id: String,
}

/// Why a task waits, runs or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Which task.
    pub task_id: String,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// The stable code of the cause.
    #[schema(example = "no_capable_agent")]
    pub cause: String,
    /// One sentence for a person.
    #[schema(example = "it waits because none of the 3 agents that serve it offers rust@1.95")]
    pub sentence: String,
    /// What the cause consists of.
    pub detail: Json,
}

/// A piece of the log of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogChunk {
    /// Which task.
    pub task_id: String,
    /// Which attempt.
    pub attempt: u32,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where this piece begins, in bytes.
    pub offset: u64,
    /// Give this as `offset` to read on.
    pub next_offset: u64,
    /// Whether more may come: the attempt is not over.
    pub more: bool,
    /// Why there is nothing to read, where that has a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
