//! The queue: what runs, what waits, and moving what waits to another priority.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::refusal::Refusal;
use synod_domain::state;
use synod_domain::task::Task;

use crate::http::sight::Sight;
use crate::http::{Body, InQuery};
use crate::http::{Context, Problem};
use crate::node::Error;

use super::extra::{self, TaskExtra};
use super::times::iso;
use super::{find, invalid, missing, priority, shown};

/// How many jobs are shown that does not say, as there.
const LIMIT_DEFAULT: usize = 50;

/// The most jobs of one answer.
const LIMIT_MAX: usize = 1_000;

/// How many unfinished tasks are looked at for one answer, oldest first. They are read while writers wait; more
/// would hold them up for milliseconds.
pub(super) const LOOK_MAX: usize = 10_000;

/// The most tasks that one request moves.
const PRIORITIZE_MAX: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Job {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    status: &'static str,
    progress: f64,
    started_at: Option<String>,
    created_at: String,
    document_count: u64,
    agents_assigned: Vec<String>,
    priority: &'static str,
}

/// `GET /queue`: what runs first, then what waits, most urgent first.
pub(super) async fn list(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let own = context.node().bound_to();
    let sight = Sight::of_caller(context.node());
    let (mut tasks, total): (Vec<Arc<Task>>, u64) = context.node().read(|state| {
        let unfinished = state.tasks().filter(|task| sight.workspace(&task.spec.workspace)).take(LOOK_MAX);
        // What runs was submitted long ago as a rule; where it was not, its agent knows it.
        let held = state.agents().flat_map(|agent| &agent.held).filter_map(|task| state.task(*task));
        let held = held.filter(|task| sight.workspace(&task.spec.workspace));
        let all = unfinished.chain(held.take(LOOK_MAX)).cloned().collect();
        let total = own.as_ref().map_or_else(|| state.unfinished(), |own| state.unfinished_of(own));
        (all, total)
    });
    tasks.sort_by_key(|task| (Reverse(task.lease().is_some()), task.lane, task.sequence));
    tasks.dedup_by_key(|task| task.spec.id);
    tasks.truncate(limit);
    let withheld: Vec<bool> = tasks.iter().map(|task| shown::withheld(&context, task).is_some()).collect();
    let jobs: Vec<Job> = context.node().read(|state| {
        let jobs = tasks.iter().zip(withheld);
        jobs.map(|(task, withheld)| job(state, task, withheld)).collect()
    });
    Ok(Json(json!({ "jobs": jobs, "total": total })))
}

fn job(state: &state::State, task: &Task, withheld: bool) -> Job {
    let metadata = task.spec.metadata.as_ref().filter(|_| !withheld);
    let (metadata, _) = extra::split::<TaskExtra>(metadata);
    let named = metadata.get("name").and_then(Value::as_str);
    let percent = task.progress.as_ref().and_then(|progress| progress.percent).unwrap_or(0);
    Job {
        id: task.spec.id.to_string(),
        kind: task.spec.kind.to_string(),
        name: named.map_or_else(|| task.spec.kind.to_string(), str::to_owned),
        status: shown::phase_word(task.phase()),
        progress: f64::from(percent) / 100.0,
        started_at: shown::started_at(task).map(iso),
        created_at: iso(task.submitted_at),
        document_count: documents(&metadata),
        agents_assigned: task.lease().map(|lease| find::name_of(state, lease.agent)).into_iter().collect(),
        priority: priority::word(task.lane),
    }
}

/// Returns how many documents a task says it is about.
fn documents(metadata: &Map<String, Value>) -> u64 {
    metadata.get("document_count").and_then(Value::as_u64).unwrap_or(0)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Prioritize {
    task_id: Option<String>,
    task_ids: Option<Vec<String>>,
    priority: Option<Value>,
}

/// `POST /queue/prioritize`: one task, or several of which each is moved as if alone.
pub(super) async fn prioritize(
    State(context): State<Context>,
    Body(request): Body<Prioritize>,
) -> Result<Json<Value>, Problem> {
    if request.priority.is_none() {
        return Err(invalid("priority is required"));
    }
    let lane = priority::read(request.priority.as_ref())?;
    let alone = request.task_ids.is_none();
    let ids: Vec<String> = request.task_ids.unwrap_or_default().into_iter().chain(request.task_id).collect();
    if ids.is_empty() {
        return Err(invalid("task_id is required"));
    }
    if ids.len() > PRIORITIZE_MAX {
        return Err(invalid(format!("at most {PRIORITIZE_MAX} tasks can be moved at a time")));
    }
    let (mut updated, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match set_lane(&context, &id, lane).await {
            Ok(()) => updated.push(id),
            Err(problem) if alone => return Err(problem),
            Err(problem) => failed.push(json!({ "task_id": id, "error": problem.detail() })),
        }
    }
    let answer = json!({ "updated": updated, "failed": failed, "priority": priority::word(lane) });
    Ok(Json(answer))
}

async fn set_lane(context: &Context, id: &str, lane: synod_domain::task::Lane) -> Result<(), Problem> {
    let over = || missing("task_unknown", format!("Task not found or already completed: {id}"));
    let task: TaskId = id.parse().map_err(|_| over())?;
    match context.node().propose(Command::SetLane { task, lane }).await {
        Ok(_) => Ok(()),
        Err(Error::Refused(Refusal::TaskUnknown(_) | Refusal::AlreadyEnded { .. })) => Err(over()),
        Err(other) => Err(other.into()),
    }
}
