//! Changing one task: calling it off, moving it to another lane.

use axum::Json;
use axum::extract::State;
use synod_domain::command::Command;
use synod_domain::id::TaskId;

use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::native::listing::Everything;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::shown::{Detail, lane, task};
use crate::http::native::{examples, read};
use crate::http::{Context, Once, Problem};

/// The reason of who gives none.
pub(super) const NO_REASON: &str = "cancelled by a client";

/// Call a task off
///
/// An attempt in hand is stopped. Calling it off again answers as the first time.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/cancel",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::Cancel, example = json!(examples::cancel())),
    responses(
        (status = 200, description = "The task, called off.", body = api::Task, example = json!(examples::cancelled())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn cancel_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(cancel): Body<api::Cancel>,
) -> Result<Json<api::Task>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    let reason = cancel.reason.as_deref().unwrap_or(NO_REASON).into();
    once.propose(node, Command::Cancel { task: id, reason }).await?;
    Ok(Json(task(node, &*node.task(id)?, Detail::Whole).await?))
}

/// Call a task off, with PUT
///
/// The same as with POST.
#[utoipa::path(
    put,
    path = "/api/v1/tasks/{id}/cancel",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::Cancel, example = json!(examples::cancel())),
    responses(
        (status = 200, description = "The task, called off.", body = api::Task, example = json!(examples::cancelled())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn cancel_task_put(
    context: State<Context>,
    once: Once,
    id: InPath<String>,
    query: InQuery<Everything>,
    body: Body<api::Cancel>,
) -> Result<Json<api::Task>, Problem> {
    cancel_task(context, once, id, query, body).await
}

/// Move a waiting task to another lane
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/priority",
    tag = "tasks",
    description = "Only a task that waits can be moved; waiting makes it rise from there as from any lane.",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::SetPriority, example = json!(examples::set_priority())),
    responses(
        (status = 200, description = "The task, in its lane.", body = api::Task, example = json!(examples::task())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn set_priority(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::SetPriority>,
) -> Result<Json<api::Task>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    once.propose(node, Command::SetLane { task: id, lane: lane(wanted.priority) }).await?;
    Ok(Json(task(node, &*node.task(id)?, Detail::Whole).await?))
}
