//! What the holder of a lease says while it has it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::budget::amount::Report;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::command::Command;
use synod_domain::id::{RequestId, TaskId};
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::task::Progress;

use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::native::listing::Everything;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::shown::{Detail, lease, task, time};
use crate::http::native::{examples, read};
use crate::http::{Context, Once, Problem};
use crate::node::Node;

/// The reason of who gives none.
const NO_REASON: &str = "given back by its worker";

/// Start a leased task
///
/// Says that work has begun; a claim does so by itself unless it says otherwise. Starting again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/start",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::StartTask, example = json!(examples::start_task())),
    responses(
        (status = 200, description = "The task, running.", body = api::Task, example = json!(examples::task())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn start_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(start): Body<api::StartTask>,
) -> Result<Json<api::Task>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    once.propose(node, Command::Start { task: id, attempt: start.attempt }).await?;
    Ok(Json(task(node, &*node.task(id)?, Detail::Whole).await?))
}

/// Renew a lease
///
/// Say how far the work is, if you know. A lease of a task without `silence_timeout_ms` does not end by silence of
/// the attempt; its agent must be heard of all the same. What it says that it used counts in its budgets; when that
/// passes one, the answer says when the attempt is stopped.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/heartbeat",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::HeartbeatTask, example = json!(examples::heartbeat_task())),
    responses(
        (status = 200, description = "The lease, renewed.", body = api::Lease, example = json!(examples::lease())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn heartbeat_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(heartbeat): Body<api::HeartbeatTask>,
) -> Result<Json<api::Lease>, Problem> {
    renew(context.node(), once, &id, heartbeat).await.map(Json)
}

/// Say how far a task is
///
/// The same as a heartbeat, and renews the lease as one.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/progress",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::HeartbeatTask, example = json!(examples::heartbeat_task())),
    responses(
        (status = 200, description = "The lease, renewed.", body = api::Lease, example = json!(examples::lease())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn progress_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(heartbeat): Body<api::HeartbeatTask>,
) -> Result<Json<api::Lease>, Problem> {
    renew(context.node(), once, &id, heartbeat).await.map(Json)
}

async fn renew(
    node: &Node,
    once: Once,
    id: &str,
    heartbeat: api::HeartbeatTask,
) -> Result<api::Lease, Problem> {
    let id = read::id::<TaskId>("the task's id", id)?;
    let attempt = heartbeat.attempt;
    let progress = heartbeat
        .progress
        .map(|progress| Progress { percent: progress.percent, message: progress.message.map(Arc::from) });
    if progress.as_ref().and_then(|progress| progress.percent).is_some_and(|percent| percent > 100) {
        return Err(Problem::bad_request("progress.percent", "it must be from 0 to 100"));
    }
    once.propose(node, Command::Heartbeat { task: id, attempt, progress }).await?;
    if let Some(usage) = &heartbeat.usage {
        let model = read::optional_name("model", heartbeat.model.as_deref())?;
        report(node, once.part("usage"), (id, attempt), usage, model).await?;
    }
    // It may have ended in the meantime.
    let found = node.task(id)?;
    let held = found.lease().filter(|lease| lease.attempt == attempt);
    let stops = node.read(|state| state.hold_of(id)?.stop.as_ref().map(|stop| time(stop.at)));
    let shown = held.map(|held| api::Lease { over_budget_at: stops, ..lease(held) });
    shown.ok_or_else(|| Refusal::LeaseLost { task: id, attempt }.into())
}

/// Says what a running attempt has used so far, if budgets count it; otherwise its end says so.
pub(super) async fn report(
    node: &Node,
    request: RequestId,
    (task, attempt): (TaskId, u32),
    usage: &api::Usage,
    model: Option<Name>,
) -> Result<(), Problem> {
    if node.read(|state| state.hold_of(task).is_none()) {
        return Ok(());
    }
    let report = Report {
        tokens_in: usage.tokens_in,
        tokens_out: usage.tokens_out,
        cost_microusd: usage.cost_microusd,
        requests: 0,
    };
    let command = BudgetCommand::Report { task, attempt, report, model };
    node.propose_as(request, Command::Budget(command)).await?;
    Ok(())
}

/// Give a lease back unused
///
/// The work is not at fault and waits in its place again.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/release",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::Release, example = json!(examples::release())),
    responses(
        (status = 204, description = "The lease is over; the task waits."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn release_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(release): Body<api::Release>,
) -> Result<StatusCode, Problem> {
    let id = read::id::<TaskId>("the task's id", &id)?;
    let reason = release.reason.as_deref().unwrap_or(NO_REASON).into();
    once.propose(context.node(), Command::Release { task: id, attempt: release.attempt, reason }).await?;
    Ok(StatusCode::NO_CONTENT)
}
