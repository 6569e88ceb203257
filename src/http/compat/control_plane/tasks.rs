//! Tasks: submitting, seeing and cancelling them.
//!
//! Where a task shall go is a route as any other; whoever wishes for no region says `any` or nothing, as there.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use synod_domain::refusal::Refusal;
use synod_domain::region::Routing;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Phase, Timeouts};

use crate::api;
use crate::http::regions::located;
use crate::http::{Body, InPath};
use crate::http::{Context, Problem, idempotency};
use crate::node::{Error, NewTask, Submission};

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

/// `POST /tasks`. Under an `Idempotency-Key` that came before, it answers with the task of that time.
pub(super) async fn submit(
    State(context): State<Context>,
    headers: HeaderMap,
    Body(request): Body<Submit>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
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
        region_routing_mode: request.region_routing_mode,
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
    if let Some(key) = key {
        task = task.idempotency_key(key);
    }
    let submission = context.node().submit_task(routed(task, &extra)?).await?;
    Ok(submitted(&submission))
}

/// Says where the task shall go, if it says something of that.
fn routed(task: NewTask, wanted: &TaskExtra) -> Result<NewTask, Problem> {
    let routing = match wanted.region_routing_mode.as_deref() {
        None | Some("any") => Routing::Any,
        Some("preferred") => Routing::Preferred,
        Some("strict") => Routing::Strict,
        Some(mode) => {
            return Err(invalid(format!(
                "Invalid region_routing_mode: {mode}; use any, preferred or strict"
            )));
        }
    };
    let fallbacks = wanted.fallback_regions.iter().map(|region| name_of("fallback_regions", region));
    let fallbacks = fallbacks.collect::<Result<Vec<_>, _>>()?;
    match &wanted.target_region {
        Some(region) => {
            let region = name_of("target_region", region)?;
            Ok(task.region(region, routing).fallback_regions(fallbacks))
        }
        // Its clients say `any` and no fallbacks where they wish for nothing.
        None if routing == Routing::Any && fallbacks.is_empty() => Ok(task),
        None => Err(invalid("target_region is required with fallback_regions or another routing than any")),
    }
}

/// Tells which task it is; where, if nothing of it is kept here.
fn submitted(submission: &Submission) -> Response {
    let Submission { task, duplicate, region } = submission;
    let status = if *duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let Some(region) = region.as_ref().map(ToString::to_string) else {
        return (status, Json(json!({ "task_id": task.to_string() }))).into_response();
    };
    let place = located(&format!("/api/v1/control-plane/tasks/{task}"), &region);
    let mut response =
        (status, Json(json!({ "task_id": task.to_string(), "region": region }))).into_response();
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn timeout(seconds: f64) -> Result<Duration, Problem> {
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| invalid(format!("timeout_seconds must be a number above 0, not {seconds}")))
}

/// `GET /tasks/{id}`. One that went to another region is shown as it is there.
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
