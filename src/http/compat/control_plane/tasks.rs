//! Tasks: submitting, seeing and cancelling them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use synod_domain::refusal::Refusal;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Phase, Timeouts};

use crate::api;
use crate::http::{Body, InPath};
use crate::http::{Context, Problem};
use crate::node::{Error, NewTask};

use super::extra::{self, TaskExtra};
use super::register::{capabilities, name_of};
use super::shown::TaskInfo;
use super::{find, invalid, missing, priority};

/// The default time for one attempt, as there.
pub(super) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);

/// What a client submits. What is not known here is passed over, as there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submit {
    task_type: Option<String>,
    payload: Option<api::Json>,
    required_capabilities: Option<Vec<String>>,
    priority: Option<Value>,
    timeout_seconds: Option<f64>,
    max_retries: Option<u32>,
    metadata: Option<Map<String, Value>>,
    target_region: Option<String>,
    fallback_regions: Option<Vec<String>>,
    region_routing_mode: Option<String>,
    origin_region: Option<String>,
}

/// `POST /tasks`
pub(super) async fn submit(
    State(context): State<Context>,
    Body(request): Body<Submit>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let kind = request.task_type.filter(|kind| !kind.is_empty());
    let kind = name_of("task_type", &kind.ok_or_else(|| invalid("task_type is required"))?)?;
    let lane = priority::read(request.priority.as_ref())?;
    let demand = capabilities(request.required_capabilities.as_deref().unwrap_or_default())?;
    let running = request.timeout_seconds.map_or(Ok(TIMEOUT_DEFAULT), timeout)?;
    let retries = request.max_retries.unwrap_or(context.options().retries_default);
    let retry = RetryPolicy { max_attempts: retries.saturating_add(1), ..RetryPolicy::default() };
    let extra = TaskExtra {
        target_region: request.target_region,
        fallback_regions: request.fallback_regions.unwrap_or_default(),
        region_routing_mode: request.region_routing_mode.map(routing_mode).transpose()?,
        origin_region: request.origin_region,
    };
    let metadata = extra::join(request.metadata.unwrap_or_default(), &extra)?;
    let payload = request.payload.map_or_else(|| api::Json::of(&json!({})), Ok);
    let payload = payload.map_err(|error| Problem::bad_request("payload", error))?;
    let mut task = NewTask::to_any(demand, kind.as_str(), &payload)?
        .lane(lane)
        .timeouts(Timeouts { running: Some(running), ..Timeouts::default() })
        .retry(retry);
    if let Some(metadata) = metadata {
        task = task.metadata(metadata);
    }
    if let Some(workspace) = context.node().bound_to() {
        task = task.workspace(workspace);
    }
    let task = context.node().submit(task).await?;
    Ok((StatusCode::CREATED, Json(json!({ "task_id": task.to_string() }))))
}

fn timeout(seconds: f64) -> Result<Duration, Problem> {
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| invalid(format!("timeout_seconds must be a number above 0, not {seconds}")))
}

fn routing_mode(mode: String) -> Result<String, Problem> {
    if ["any", "preferred", "strict"].contains(&mode.as_str()) {
        return Ok(mode);
    }
    Err(invalid(format!("Invalid region_routing_mode: {mode}; use any, preferred or strict")))
}

/// `GET /tasks/{id}`
pub(super) async fn get(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<TaskInfo>, Problem> {
    let task = find::task(&context, &id)?;
    TaskInfo::of(&context, &task).await.map(Json)
}

/// `POST /tasks/{id}/cancel`. A task that was cancelled before answers like the first time.
pub(super) async fn cancel(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let over = || missing("task_unknown", format!("Task not found or already completed: {id}"));
    let task = id.parse().map_err(|_| over())?;
    match context.node().cancel(task, "cancelled over the control-plane API").await {
        Ok(()) => {}
        Err(Error::Refused(Refusal::TaskUnknown(_))) if was_cancelled(&context, &id) => {}
        Err(Error::Refused(Refusal::AlreadyEnded { .. } | Refusal::TaskUnknown(_))) => return Err(over()),
        Err(other) => return Err(other.into()),
    }
    Ok(Json(json!({ "cancelled": true })))
}

/// Tells whether history says that a task was cancelled, when the rules have forgotten it.
fn was_cancelled(context: &Context, id: &str) -> bool {
    find::task(context, id).is_ok_and(|task| task.phase() == Phase::Cancelled)
}
