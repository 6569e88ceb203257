//! Agents and tasks as this API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use synod_domain::agent::{Agent, AgentStatus};
use synod_domain::payload::Payload;
use synod_domain::state::State;
use synod_domain::task::{AttemptEnd, Outcome, Phase, Task, TaskStatus};
use synod_domain::time::Timestamp;

use crate::api::Json;
use crate::http::{Context, Problem};

use super::extra::{self, AgentExtra, TaskExtra};
use super::times::{epoch, mean_millis};
use super::{find, priority};

/// The region of who names none.
pub(super) const REGION_DEFAULT: &str = "default";

/// An agent.
#[derive(Debug, Serialize)]
pub(super) struct AgentInfo {
    agent_id: String,
    capabilities: Vec<String>,
    status: &'static str,
    model: String,
    provider: String,
    metadata: Map<String, Value>,
    registered_at: f64,
    last_heartbeat: f64,
    current_task_id: Option<String>,
    tasks_completed: u64,
    tasks_failed: u64,
    avg_latency_ms: f64,
    tags: Vec<String>,
    region_id: String,
    available_regions: Vec<String>,
    region_latency_ms: Map<String, Value>,
    last_heartbeat_by_region: BTreeMap<String, f64>,
}

impl AgentInfo {
    pub(super) fn of(agent: &Agent, heard: Timestamp) -> Self {
        let (metadata, extra) = extra::split::<AgentExtra>(agent.spec.metadata.as_ref());
        let region = agent.spec.region.as_ref().map_or(REGION_DEFAULT, |region| region.as_str()).to_owned();
        let regions = extra.available_regions;
        let last_heartbeat = epoch(heard);
        Self {
            agent_id: agent.spec.name.to_string(),
            capabilities: agent.spec.capabilities.iter().map(|one| one.to_string()).collect(),
            status: status(agent),
            model: extra.model.unwrap_or_else(unknown),
            provider: extra.provider.unwrap_or_else(unknown),
            metadata,
            registered_at: epoch(agent.registered_at),
            last_heartbeat,
            current_task_id: agent.held.first().map(ToString::to_string),
            tasks_completed: agent.completed,
            tasks_failed: agent.failed,
            avg_latency_ms: mean_millis(agent.worked, agent.completed + agent.failed),
            tags: extra.tags,
            available_regions: if regions.is_empty() { vec![region.clone()] } else { regions },
            region_latency_ms: extra.region_latency_ms,
            last_heartbeat_by_region: BTreeMap::from([(region.clone(), last_heartbeat)]),
            region_id: region,
        }
    }
}

/// What an agent is called that did not say its model or provider.
pub(super) fn unknown() -> String {
    "unknown".to_owned()
}

/// Returns the word for an agent's status. There, an agent is busy while it holds work; it takes more all the same.
pub(super) fn status(agent: &Agent) -> &'static str {
    match agent.status() {
        AgentStatus::Ready if !agent.held.is_empty() => "busy",
        other => status_word(other),
    }
}

/// Returns the word for a status.
pub(super) const fn status_word(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Starting => "starting",
        AgentStatus::Ready => "ready",
        AgentStatus::Busy => "busy",
        AgentStatus::Draining => "draining",
        AgentStatus::Offline => "offline",
        AgentStatus::Failed => "failed",
        // Those who know nothing of reserves take it for one that is not there yet.
        AgentStatus::Standby => "starting",
    }
}

/// A task.
#[derive(Debug, Serialize)]
pub(super) struct TaskInfo {
    id: String,
    task_type: String,
    payload: Json,
    required_capabilities: Vec<String>,
    status: &'static str,
    priority: u8,
    created_at: f64,
    assigned_at: Option<f64>,
    started_at: Option<f64>,
    completed_at: Option<f64>,
    assigned_agent: Option<String>,
    timeout_seconds: Option<f64>,
    max_retries: u32,
    retries: u32,
    result: Option<Json>,
    error: Option<String>,
    metadata: Map<String, Value>,
    target_region: Option<String>,
    fallback_regions: Vec<String>,
    assigned_region: Option<String>,
    region_routing_mode: String,
    origin_region: String,
    /// Why what it holds is left out, when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
}

impl TaskInfo {
    pub(super) async fn of(context: &Context, task: &Task) -> Result<Self, Problem> {
        let spec = &task.spec;
        let (metadata, extra) = extra::split::<TaskExtra>(spec.metadata.as_ref());
        let withheld = withheld(context, task);
        let is_open = withheld.is_none();
        let payload = if is_open { fetched(context, &spec.payload).await? } else { Json::from_bytes(b"{}") };
        let extra = match task.forwarding() {
            Some(kept) => TaskExtra::of_route(&kept.route, &extra),
            None => extra,
        };
        let (assigned_agent, assigned_region) = context.node().read(|state| assigned(state, task));
        Ok(Self {
            id: spec.id.to_string(),
            task_type: spec.kind.to_string(),
            payload,
            required_capabilities: spec.demand.iter().map(|one| one.to_string()).collect(),
            status: phase_word(task.phase()),
            priority: priority::number(task.lane),
            created_at: epoch(task.submitted_at),
            assigned_at: assigned_at(task).map(epoch),
            started_at: started_at(task).map(epoch),
            completed_at: task.end().map(|end| epoch(end.at)),
            assigned_agent,
            timeout_seconds: spec.timeouts.running.map(|timeout| timeout.as_secs_f64()),
            max_retries: spec.retry.max_attempts.saturating_sub(1),
            retries: retries(task),
            result: result(context, task).await?,
            error: error(task).filter(|_| is_open),
            metadata: if is_open { metadata } else { Map::new() },
            target_region: extra.target_region,
            fallback_regions: extra.fallback_regions,
            assigned_region,
            region_routing_mode: extra.region_routing_mode.unwrap_or_else(|| "any".to_owned()),
            origin_region: extra.origin_region.unwrap_or_else(|| REGION_DEFAULT.to_owned()),
            withheld,
        })
    }
}

/// Says why what a task holds is not shown, when whoever asks does so through another region and it is strict.
pub(super) fn withheld(context: &Context, task: &Task) -> Option<&'static str> {
    context.node().withholds(task.spec.id).then_some("strict")
}

/// Returns the word for where a task is.
pub(super) const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Scheduled => "assigned",
        Phase::Running => "running",
        Phase::Completed => "completed",
        Phase::Failed => "failed",
        Phase::TimedOut => "timeout",
        Phase::Cancelled => "cancelled",
    }
}

/// Returns name and region of who holds the task, or held it when it ended. Work that waits is nobody's.
fn assigned(state: &State, task: &Task) -> (Option<String>, Option<String>) {
    let Some(agent) = assigned_agent(task) else { return (None, None) };
    let region = state.agent(agent).and_then(|agent| agent.spec.region.as_ref());
    (Some(find::name_of(state, agent)), region.map(ToString::to_string))
}

/// Returns who holds the task, or held it when it ended.
pub(super) fn assigned_agent(task: &Task) -> Option<synod_domain::id::AgentId> {
    match &task.status {
        TaskStatus::Scheduled { lease } | TaskStatus::Running { lease, .. } => Some(lease.agent),
        TaskStatus::Ended(_) => task.attempts.last().map(|last| last.agent),
        TaskStatus::Waiting { .. }
        | TaskStatus::BackingOff { .. }
        | TaskStatus::Kept { .. }
        | TaskStatus::Parked { .. } => None,
    }
}

fn assigned_at(task: &Task) -> Option<Timestamp> {
    match &task.status {
        TaskStatus::Scheduled { lease } | TaskStatus::Running { lease, .. } => Some(lease.granted_at),
        TaskStatus::Ended(_) => task.attempts.last().map(|last| last.leased_at),
        TaskStatus::Waiting { .. }
        | TaskStatus::BackingOff { .. }
        | TaskStatus::Kept { .. }
        | TaskStatus::Parked { .. } => None,
    }
}

/// Returns when the present attempt started, or the first of a task that has ended.
pub(super) fn started_at(task: &Task) -> Option<Timestamp> {
    match &task.status {
        TaskStatus::Running { started_at, .. } => Some(*started_at),
        TaskStatus::Ended(_) => task.first_started_at,
        TaskStatus::Scheduled { .. }
        | TaskStatus::Waiting { .. }
        | TaskStatus::BackingOff { .. }
        | TaskStatus::Kept { .. }
        | TaskStatus::Parked { .. } => None,
    }
}

/// Returns how often the task was tried again; the failure that ended it is no retry.
pub(super) fn retries(task: &Task) -> u32 {
    let ended_by_failure = task.phase().is_end()
        && task.attempts.last().is_some_and(|last| matches!(last.end, AttemptEnd::Failed(_)));
    task.failures.saturating_sub(u32::from(ended_by_failure))
}

/// Returns the last thing that went wrong.
pub(super) fn error(task: &Task) -> Option<String> {
    if let Some(end) = task.end() {
        return end.outcome.reason().map(str::to_owned);
    }
    match task.attempts.last().map(|last| &last.end) {
        Some(AttemptEnd::Failed(reason) | AttemptEnd::Lost(reason)) => Some(reason.to_string()),
        Some(AttemptEnd::Completed | AttemptEnd::Stopped) | None => None,
    }
}

/// Returns the result of a completed task.
pub(super) async fn result(context: &Context, task: &Task) -> Result<Option<Json>, Problem> {
    match task.end().map(|end| &end.outcome) {
        Some(_) if withheld(context, task).is_some() => Ok(None),
        Some(Outcome::Completed { result }) => fetched(context, result).await.map(Some),
        Some(Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled { .. }) | None => {
            Ok(None)
        }
    }
}

/// Returns what a payload holds.
async fn fetched(context: &Context, payload: &Payload) -> Result<Json, Problem> {
    Ok(Json::from_bytes(&context.node().fetch(payload).await?))
}
